"""The plugin's entry point: what the platform runs."""

from dify_plugin import DifyPluginEnv, Plugin  # first of all: it patches the standard library for gevent

plugin = Plugin(DifyPluginEnv())

if __name__ == "__main__":
    plugin.run()
