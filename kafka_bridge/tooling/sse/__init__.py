"""The tool `listen_sse`: a stream of server-sent events, listened to for a while."""
