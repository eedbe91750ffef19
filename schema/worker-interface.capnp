@0xf7958855f6746344;

# What workerd speaks on its debug port and on an external's CONNECT.
# Traces and queue batches pass through unread: where a list of theirs stands upstream,
# an AnyPointer stands here, which has the same layout.

using import "byte-stream.capnp".ByteStream;
using import "frankenvalue.capnp".Frankenvalue;
using import "http-over-capnp.capnp".HttpService;

# Declared upstream in a file of its own, hence the written id.
enum EventOutcome @0xf8746a85f0e7002a {
  unknown @0;
  ok @1;
  exception @2;
  exceededCpu @3;
  killSwitch @4;
  daemonDown @5;
  scriptNotFound @6;
  canceled @7;
  exceededMemory @8;
  loadShed @9;
  responseStreamDisconnected @10;
  internalError @11;
  exceededWallTime @12;
  aborted @13;
}

interface WorkerdDebugPort {
  # An absent entrypoint is the default export; an empty one is an error.
  getEntrypoint @0 (service :Text, entrypoint :Text, props :Frankenvalue)
      -> (entrypoint :WorkerdBootstrap);
  getActor @1 (service :Text, entrypoint :Text, actorId :Text) -> (actor :WorkerdBootstrap);
}

interface WorkerdBootstrap {
  startEvent @0 (cfBlobJson :Text, fromPersistentStub :Bool) -> (dispatcher :EventDispatcher);
}

# Takes one event and no second.
interface EventDispatcher @0xf20697475ec1752d {
  getHttpService @0 () -> (http :HttpService);
  sendTraces @1 (traces :AnyPointer) -> (result :SendTracesRun);
  prewarm @2 (url :Text);
  runScheduled @3 (scheduledTime :Int64, cron :Text) -> (result :ScheduledRun);
  runAlarm @4 (scheduledTime :Int64, retryCount :UInt32) -> (result :AlarmRun);
  obsolete5 @5 ();
  obsolete6 @6 ();
  obsolete7 @7 ();
  queue @8 (messages :AnyPointer, queueName :Text, metadata :AnyPointer) -> (result :AnyPointer);
  jsRpcSession @9 () -> (topLevel :JsRpcTarget, session :JsRpcSession);
  tailStreamSession @10 () -> (topLevel :TailStreamTarget, result :EventOutcome);
  abandonAlarm @11 (scheduledTimeMs :Int64) -> (storedAlarmTimeMs :Int64);
  restoreService @12 (params :Frankenvalue) -> (service :WorkerdBootstrap);
  restoreRpcStub @13 (params :Frankenvalue) -> (target :JsRpcTarget, session :JsRpcSession);

  # Newer than the published schema: only the name and the number are known, and nothing of ours calls it.
  udpConnect @14 ();
}

struct SendTracesRun @0xde913ebe8e1b82a5 {
  outcome @0 :EventOutcome;
}

struct ScheduledRun @0xd98fc1ae5c8095d0 {
  outcome @0 :EventOutcome;
  retry @1 :Bool;
}

struct AlarmRun @0xfa8ea4e97e23b03d {
  outcome @0 :EventOutcome;
  retry @1 :Bool;
  retryCountsAgainstLimit @2 :Bool = true;
  errorDescription @3 :Text;
}

interface TailStreamTarget {
  report @0 TailStreamParams -> TailStreamResults;

  struct TailStreamParams {
    events @0 :AnyPointer;
  }

  struct TailStreamResults {
    stop @0 :Bool;
  }
}

# Host objects inside a serialized value, by the number that follows the byte 0x5C.
enum SerializationTag {
  invalid @0;
  jsRpcStub @1;
  writableStream @2;
  readableStream @3;
  headers @4;
  request @5;
  response @6;
  domException @7;
  domExceptionV2 @8;
  abortSignal @9;
  nativeError @10;
  serviceStub @11;
  actorClass @12;
  r2Bucket @13;
  kvNamespace @14;
  blob @15;
  socket @16;
  wrappedBinding @17;
}

enum StreamEncoding {
  identity @0;
  gzip @1;
  brotli @2;
}

struct JsValue {
  v8Serialized @0 :Data;

  # In the order in which the serialized bytes mention them.
  externals @1 :List(External);

  struct External {
    union {
      invalid @0 :Void;
      rpcTarget :group {
        cap @1 :JsRpcTarget;
        union {
          channelToken @14 :Data;
          delayedChannelToken @15 :ExternalPusher.DelayedChannelToken;
        }
      }
      writableStream :group {
        byteStream @2 :ByteStream;
        encoding @3 :StreamEncoding;
      }
      readableStream :group {
        stream @10 :ExternalPusher.InputStream;
        encoding @4 :StreamEncoding;
        expectedLength :union {
          unknown @5 :Void;
          known @6 :UInt64;
        }
      }
      obsolete7 @7 :Void;

      # Sealed with a key of one process: they mean nothing in another.
      subrequestChannelToken @8 :Data;
      actorClassChannelToken @9 :Data;
      abortSignal @11 :ExternalPusher.AbortSignal;
      delayedSubrequestChannelToken @12 :ExternalPusher.DelayedChannelToken;
      delayedActorClassChannelToken @13 :ExternalPusher.DelayedChannelToken;
      socket :group {
        remoteAddress @16 :Text;
        secureTransport @17 :SecureTransport;
        isDefaultFetchPort @18 :Bool;
        localAddress @19 :Text;
        allowHalfOpen @20 :Bool;
      }
    }

    enum SecureTransport {
      off @0;
      starttls @1;
      on @2;
    }
  }

  # Implemented by whoever receives values. Its answers must come back to it as its own
  # capabilities: it unwraps them, and refuses a stand-in.
  interface ExternalPusher {
    pushByteStream @0 (lengthPlusOne :UInt64 = 0) -> (source :InputStream, sink :ByteStream);
    pushAbortSignal @1 () -> (signal :AbortSignal, trigger :AbortTrigger);
    pushDelayedChannelToken @2 (token :Data) -> (cap :DelayedChannelToken);

    interface InputStream {}
    interface AbortSignal {}
    interface DelayedChannelToken {}
  }
}

interface AbortTrigger {
  abort @0 (reason :JsValue) -> ();
  release @1 () -> ();
}

interface JsRpcTarget extends (JsValue.ExternalPusher) {
  call @0 CallParams -> CallResults;

  struct CallParams {
    union {
      methodName @0 :Text;
      methodPath @2 :List(Text);
    }
    operation :union {
      callWithArgs @1 :JsValue;
      getProperty @3 :Void;
    }
    resultsStreamHandler :union {
      obsolete4 @4 :Capability;
      externalPusher @5 :JsValue.ExternalPusher;
    }
  }

  struct CallResults {
    result @0 :JsValue;
    callPipeline @1 :JsRpcTarget;
    hasDisposer @2 :Bool;
    obsolete3 @3 :Capability;
  }
}

# Has no methods: dropping it ends the session.
interface JsRpcSession {}
