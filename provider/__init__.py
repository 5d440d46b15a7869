"""The tool provider's file: no state, no logic. The platform's loader may execute it twice."""
