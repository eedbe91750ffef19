@0xcc3b225cb3101aba;

# A JavaScript value put together outside of JavaScript. Props travel as one.

struct Frankenvalue {
  union {
    emptyObject @0 :Void;
    json @1 :Text;
    v8Serialized @2 :Data;
    arrayBuffer @9 :Data;
    capability :group {
      capIndex @7 :UInt32;
      tag @8 :UInt16;
      wrapperModule @10 :Text;
    }
  }

  # These win over a property of the same name in the value above, which is how a link adds props.
  properties @3 :List(Frankenvalue);
  name @4 :Text;
  capTableSize @5 :UInt32 = 0;
  capTable @6 :AnyPointer;
}
