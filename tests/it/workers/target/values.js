// Values as the target sees them, and as it sends them back.
import { RpcTarget } from "cloudflare:workers";
import { describe } from "../describe.js";
import { makeValue } from "../values.js";

class Holder extends RpcTarget {
  #value;

  constructor(value) {
    super();
    this.#value = value;
  }

  get value() {
    return this.#value;
  }

  read() {
    return this.#value;
  }
}

export const Values = (Base) => class extends Base {
  echo(value) {
    return value;
  }

  echoAll(...values) {
    return values;
  }

  /** What arrived, told in plain JSON: tells a difference on the way there from one on the way back. */
  seen(...values) {
    return describe(values);
  }

  give_(kind) {
    return makeValue(kind);
  }

  hold(kind) {
    return new Holder(makeValue(kind));
  }

  get tree() {
    return { leaf: "leaf value", branch: { twig: { leaf: 7, call: (a, b) => [b, a] }, list: [1, { two: 2 }] } };
  }

  nothing() {}
};
