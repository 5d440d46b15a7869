"""A local Dify host: runs the real plugin process over its stdio protocol and does to it what the daemon does.

    rewrite     a request as the daemon rewrites it (pure)
    frames      the stdio protocol as a codec (pure)
    gojson      JSON in Go's spelling and words (pure)
    answers     what Go makes of a plugin's status and headers; the daemon's own documents (pure)
    streams     the daemon's lossy response buffer
    instance    one run of the plugin's process
    process     the plugin's process: start, kill, restart, sessions
    calls       what a plugin may ask of Dify: storage and apps
    storage     the key-value store with its quota
    apps        local functions in the place of Dify apps
    gateway     HTTP at /e/<hook>/… into sessions
    manifest    what the host takes from a plugin's own files
    timing      the daemon's clocks
    host        all of it together; host.BackgroundHost runs it on a thread of its own
    broker      an embedded Kafka broker
    senders     signs like the vendors do, written apart from the plugin's table
    signing     signs as any row of the plugin's table says
    browser     a headless Chromium, for who looks at pages
    verify      whether a captured request verifies, and why not
    demo, package   what these commands do
    cli, __main__   the commands, a module each

None of it is packed into the plugin. `tests/e2e/daemon` compares it with recordings of a real daemon.
"""
