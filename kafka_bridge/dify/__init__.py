"""The only code that knows dify_plugin. `app.py` is the composition root."""
