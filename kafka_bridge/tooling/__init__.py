"""What the tools do inside a workflow or for an agent."""
