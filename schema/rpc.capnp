@0xb312981b2552a250;

# Cap'n Proto's RPC messages. File id, names and ordinals are the protocol's own, so
# type ids and layouts come out equal; the words are ours.

# Ids are only meaningful on one connection: the asker numbers questions, the host numbers exports.
using Question = UInt32;
using Export = UInt32;

struct Message {
  union {
    unimplemented @0 :Message;
    abort @1 :Exception;
    call @2 :Call;
    return @3 :Return;
    finish @4 :Finish;
    resolve @5 :Resolve;
    release @6 :Release;
    obsoleteSave @7 :AnyPointer;
    bootstrap @8 :Bootstrap;
    obsoleteDelete @9 :AnyPointer;

    # Three-party messages. Declared so that the tag is known; the switch answers them with `unimplemented`.
    provide @10 :Provide;
    accept @11 :Accept;
    join @12 :Join;
    disembargo @13 :Disembargo;
    thirdPartyAnswer @14 :ThirdPartyAnswer;
  }
}

struct Bootstrap {
  questionId @0 :Question;
  deprecatedObjectId @1 :AnyPointer;
}

struct Call {
  questionId @0 :Question;
  target @1 :MessageTarget;
  interfaceId @2 :UInt64;
  methodId @3 :UInt16;
  params @4 :Payload;
  sendResultsTo :union {
    caller @5 :Void;
    yourself @6 :Void;
    thirdParty @7 :AnyPointer;
  }
  allowThirdPartyTailCall @8 :Bool = false;
  noPromisePipelining @9 :Bool = false;

  # No Return ever answers such a call: its Finish is its end.
  onlyPromisePipeline @10 :Bool = false;
}

struct Return {
  answerId @0 :Question;

  # True by default, so the stored bit is inverted. The same holds for the two of Finish.
  releaseParamCaps @1 :Bool = true;
  union {
    results @2 :Payload;
    exception @3 :Exception;
    canceled @4 :Void;
    resultsSentElsewhere @5 :Void;
    takeFromOtherQuestion @6 :Question;
    awaitFromThirdParty @7 :AnyPointer;
  }
  noFinishNeeded @8 :Bool = false;
}

struct Finish {
  questionId @0 :Question;
  releaseResultCaps @1 :Bool = true;
  requireEarlyCancellationWorkaround @2 :Bool = true;
}

struct Resolve {
  promiseId @0 :Export;
  union {
    cap @1 :CapDescriptor;
    exception @2 :Exception;
  }
}

struct Release {
  id @0 :Export;
  referenceCount @1 :UInt32;
}

struct Disembargo {
  target @0 :MessageTarget;
  context :union {
    senderLoopback @1 :UInt32;
    receiverLoopback @2 :UInt32;
    accept @3 :Data;
  }
}

struct Provide {
  questionId @0 :Question;
  target @1 :MessageTarget;
  recipient @2 :AnyPointer;
}

struct Accept {
  questionId @0 :Question;
  provision @1 :AnyPointer;
  embargo @2 :Data;
}

struct ThirdPartyAnswer {
  completion @0 :AnyPointer;
  answerId @1 :Question;
}

struct Join {
  questionId @0 :Question;
  target @1 :MessageTarget;
  keyPart @2 :AnyPointer;
}

struct MessageTarget {
  union {
    importedCap @0 :Export;
    promisedAnswer @1 :PromisedAnswer;
  }
}

struct Payload {
  content @0 :AnyPointer;
  capTable @1 :List(CapDescriptor);
}

struct CapDescriptor {
  union {
    none @0 :Void;
    senderHosted @1 :Export;
    senderPromise @2 :Export;
    receiverHosted @3 :Export;
    receiverAnswer @4 :PromisedAnswer;
    thirdPartyHosted @5 :ThirdPartyCapDescriptor;
  }
  attachedFd @6 :UInt8 = 0xff;
}

struct PromisedAnswer {
  questionId @0 :Question;
  transform @1 :List(Op);

  struct Op {
    union {
      noop @0 :Void;
      getPointerField @1 :UInt16;
    }
  }
}

struct ThirdPartyCapDescriptor {
  id @0 :AnyPointer;

  # An ordinary export that stands in for a three-party capability; we always take this one.
  vineId @1 :Export;
}

struct Exception {
  reason @0 :Text;
  obsoleteIsCallersFault @1 :Bool;
  obsoleteDurability @2 :UInt16;
  type @3 :Type;
  trace @4 :Text;

  # Carries what JavaScript threw. capnp-rpc's own schema stops before this field.
  details @5 :List(Detail);

  enum Type {
    failed @0;
    overloaded @1;
    disconnected @2;
    unimplemented @3;
  }

  struct Detail {
    detailId @0 :UInt64;
    data @1 :Data;
  }
}
