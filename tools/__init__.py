"""Tool files: one class each, no state, no logic. The platform's loader may execute them twice."""
