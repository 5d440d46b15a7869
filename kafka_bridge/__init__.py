"""Kafka Bridge for Dify: signed webhooks become acknowledged Kafka records, Kafka records run workflows.

One line per module, lowest first; each imports only from lines above it (`tests/test_architecture.py`).

    errors                          every error, one tree
    http, clock, ratelimit          the words everybody uses
    metrics                         plain numbers per endpoint
    incidents                       what is said of a defect
    documents, placeholders         what stands where in JSON; texts with placeholders
    moments                         times as people write them
    events.record                   what a Kafka record is
    settings.{secret,table}         a text that must not be seen; names, labels and defaults of the settings
    settings.reader                 reads the platform's mapping, collects what is wrong
    settings.{pem,cluster,sources}  certificates from a single-line field; the connection; the senders
    settings.endpoint               all settings of an endpoint, parsed once
    readiness                       whether an endpoint can do its work
    tooling.{messages,parameters}   what a tool says; what it is given
    tooling.{advice,call}           what failed and what to do; one call of a tool
    tooling.{overrides,order}       another cluster for one call; what is to be published
    tooling.{jsonpath,filters}      paths into JSON; which records are meant
    tooling.{items,selection}       a record as a tool gives it; what is to be read
    tooling.awaiting                a record that is waited for, and its request
    tooling.sse.{parser,inflate}    events from the bytes of a stream; content that comes packed
    tooling.sse.{addresses,target}  to which addresses nothing is sent; where a URL leads
    tooling.sse.failures            why there is no stream
    tooling.sse.hops                a request for a stream, and its redirects
    tooling.sse.reconnection        when a stream is asked for again
    tooling.sse.subscription        what a call of listen_sse asks for
    events.{cloudevents,envelope}   CloudEvents as they arrive; what an event is, and how it becomes a record
    tooling.sse.{account,records}   what has come of a stream, and its events as Kafka records
    events.{run,outcome}            what became of a run, and of one request; the Recorder port
    events.log.{store,entry}        the port to a key-value store; one line of the event log
    events.log.{masking,making}     what may be kept of a request; from outcomes to entries
    events.log.{segments,register}  entries that were written together; a small document that is replaced
    events.log.{pending,manifest}   entries that wait; what a writer has written down of its segments
    events.log.shelf                the segments of one writer
    events.log.{writers,pace}       who writes; work within the time that there is
    events.log.{others,log,logs}    what other processes write; the log of one endpoint; those of all
    events.log.{query,document}     what a look asks for and gets; the same as JSON
    events.log.{replaying,feed}     the record that an entry tells of; entries as they are made
    events.log.reader               how the log is read
    dispatch.{ended,task}           how a run ended; a received record on its way to being done
    dispatch.units                  of records that are brought together, which wait for which
    dispatch.{offsets,shards}       the commit point of a partition; which record waits for which
    dispatch.{retry,breaker}        when a record is tried again; the circuit that an outage opens
    dispatch.{lane,board,flow}      one partition that is ours; where every task is; whose intake is paused
    dispatch.{policy,engine}        what the operator decided; facts in, commands out
    dispatch.{payload,form}         what a record says; the inputs that an app declares
    dispatch.{inputs,verdicts}      the input for one record; what Dify's answers mean
    dispatch.{deadletter,results}   the records that a run leaves behind
    dispatch.{attempt,window}       one run of an app; what a driver allows
    dispatch.trouble                why nothing can be read
    dispatch.{letter,progress}      a dead letter, read; which of them are done, as a note
    dispatch.cursor                 where in many partitions somebody is
    ingress.{content,xmltree}       what is in a request; XML of senders that are not verified yet
    ingress.{patterns,templates}    names with a star; topics and keys with placeholders
    ingress.{keys,canonical}        what a signature is checked with; what is signed besides the body
    ingress.{items,routing}         one request, many events; where an event goes
    ingress.{dedupe,publish}        events that come again; from events to acknowledged events
    ingress.{outside,certificates}  what proofs fetch, as ports; certificates, each fetched once
    ingress.{signatures,tokens}     proofs as data: a signature, a secret that is shown
    ingress.handshakes              what senders ask before they deliver
    ingress.{encrypted,feishu,sns}  proofs with code of their own: DingTalk and WeCom, Feishu, Amazon SNS
    ingress.{scheme,signing}        what a row says of a kind of sender; words that rows share
    ingress.vendors                 the rows, one per vendor
    ingress.{schemes,options}       all rows in one table; the parameters that an operator may set
    broker.{ports,causes,config}    the broker's interface, its errors in our words, its properties
    tooling.credentials             the cluster of the tools, and what they may do besides
    tooling.{overview,readers}      what is said of topics; how tools get a client
    dispatch.pushed                 records that somebody brings
    dispatch.plan                   what is consumed and how, compiled from its settings
    ingress.source                  one sender, compiled from its settings
    ingress.receive                 one request in, one Outcome out
    dispatch.{redrive,asking}       which dead letters go where, and what became of them; who asks for what
    dispatch.shown                  a dead letter as it is shown
    ingress.trial                   an event of the bridge's own, to try a source with
    broker.{loops,greenlets,trust}  greenlets or threads; whose certificates are trusted
    tooling.sse.network             sockets that lead only where somebody has looked
    tooling.sse.names               host names looked up, a bounded number at once
    tooling.sse.connection          one connection to a stream
    tooling.sse.listening           one call of listen_sse
    broker.kafka                    the ports on confluent_kafka
    broker.{pump,batch,bridge}      a native thread per producer; what one caller has sent; one wake-up per report
    dispatch.{slots,gate}           how many runs at once; where a driver waits
    dispatch.{desk,member}          what a consumer tells; the thread that owns it
    dispatch.{news,writer}          the dispatcher's log lines; writes results and dead letters
    broker.aside                    what blocks, beside whoever waits for it
    dispatch.listing                a page of dead letters
    dispatch.{memory,reading}       what is remembered of dead letters; reads parts of partitions
    dispatch.{delivering,redriver}  sends dead letters where they go; goes through all of them
    dispatch.worker                 carries out what the engine decides
    broker.registry                 who shares a producer
    tooling.{errands,places}        what blocks, on its thread; where topics begin and end
    tooling.reading                 reads records until there are enough
    tooling.{publish,consume,wait}  the tools that write, read, and do one for the other
    tooling.{topics,validate}       the tools for topics; what saving the credentials does
    tooling.listen_sse              the tool that listens to an event stream
    web                             what a proof fetches from outside
    service, flows                  runs outside Dify: through its HTTP API, or of a local function
    standalone.{variables,flags}    the variables of the stand-alone worker; its command line
    standalone.{options,apps}       what they say; what is run for each record
    standalone.{tally,look,life}    what has happened; what happens now; from the first record to the last
    standalone.{progress,metrics}   the line at the foot of a terminal; the numbers for Prometheus
    standalone.http                 /health and /metrics
    standalone.{logs,signals}       its log lines; SIGTERM as something to wait for
    standalone.{publishing,produce}  what it writes to Kafka; the test producer
    standalone.{orders,redrive}     which dead letters go back; the command that sends them
    standalone.system               the machine's clock and files
    worker                          the stand-alone worker: entry point and composition
    dashboard.{words,texts,states}  two languages; the words of the pages, and of outcomes
    dashboard.{letter_texts,letters}  the words of the page of dead letters; the page
    dashboard.advice                what to do about a fault
    dashboard.{labels,senders}      what settings are called; what to click at each kind of sender
    dashboard.{pretty,shown,rows}   bodies for people; texts that are cut, times; the list of events
    dashboard.{event,consuming}     one event; the consumer
    dashboard.{health,summary}      what is wrong; the settings without secrets
    dashboard.{connecting,address}  how a sender is connected; where the browser sees the endpoint
    dashboard.page                  draws pages from templates
    dify.{hooks,apps,caller}        a configured endpoint; runs through a request's session; who waits for them
    dify.{storage,sessions}         storage through the session of a request; who is signed in
    dify.{call,journal}             one request to an endpoint; the log lines
    dify.{meter,metrics}            counts outcomes and runs; the numbers in Prometheus' words
    dify.tools                      the tools by name, and their error boundary
    dify.{runs,recorder}            runs while a request is open; feeds the event log
    dify.{course,places}            when a resident consumer goes on; which of many may be at work
    dify.shared                     what all parts share
    dify.{consumers,events}         the endpoints' members of groups; looks at the event log
    dify.{visits,hosting}           calls of the plugin to itself; whether the runtime can host that
    dify.{loopback,resident}        how it calls itself; the loop that opens an endpoint's windows
    dify.residents                  whose resident consumers there are
    dify.{letters,deadletters}      dead letters of an endpoint; their handlers
    dify.{consume,afterrun}         one window, or records that are brought; runs within a sender's request
    dify.{consumer,resend,stream}   looks at consumers; sends events again; events as they are made
    dify.{replay,measures}          what is asked to be sent again; the numbers of one endpoint
    dify.{webhooks,health}          deliveries; readiness
    dify.{signin,trial,dashboard}   the API token for a cookie; test events; the pages
    dify.routes                     the table of paths
    dify.http                       the platform's request and answer; the error boundary
    dify.{management,toolbox}       all that is no webhook, and the tools: loaded when they are needed
    dify.app                        the composition root
"""

__version__ = "0.1.0"
