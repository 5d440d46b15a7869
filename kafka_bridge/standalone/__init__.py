"""What the stand-alone worker is made of; `kafka_bridge.worker` puts it together. Not in the plugin's package."""
