// Stands in for a Durable Object class of another process.
//
// A namespace in workerd's configuration can only name a class of its own process. So a session with an actor link gets
// this class, in a worker of its own; every object of it passes what it is asked to the object with the same id behind
// the link. The user's worker never sees the debug port: the binding to it ends here.

import { DurableObject } from "cloudflare:workers";

/**
 * What the configuration binds.
 * @typedef {object} Env
 * @property {DebugPortConnector} PORT
 * @property {string} ADDRESS where the links of this session are served
 * @property {string} LINK the link's binding, which is the name of a service there
 * @property {string} CLASS the class that the link led to when this process was started
 */

/**
 * @typedef {{ connect(address: string): DebugPort }} DebugPortConnector
 * @typedef {{ getActor(service: string, className: string, id: string): any }} DebugPort
 */

/**
 * Names that workerd looks up on a new object to learn which handlers it has, and refuses as RPC methods. A stand-in
 * has none of them: alarms and hibernating sockets belong to the object behind the link.
 */
const HANDLERS_OF_THE_TARGET = new Set(["alarm", "webSocketMessage", "webSocketClose", "webSocketError", "then"]);

export class ActorProxy extends DurableObject {
  /**
   * @param {{ id: unknown }} ctx
   * @param {Env} env
   */
  constructor(ctx, env) {
    super(ctx, env);
    const far = new Far(env, String(ctx.id));
    return new Proxy(this, {
      get(_target, name) {
        if (typeof name !== "string" || HANDLERS_OF_THE_TARGET.has(name)) return undefined;
        if (name === "fetch") return (/** @type {unknown} */ request) => far.call(["fetch"], [request]);
        if (name === "connect") return (/** @type {any} */ socket) => splice(socket, far);
        return member(far, [name]);
      },
      // workerd refuses own properties over RPC. Whether the far object has one is for its own process to say.
      getOwnPropertyDescriptor: () => undefined,
    });
  }
}

/** The object behind the link. */
class Far {
  /** @type {any} */
  #stub;
  #open;

  /**
   * @param {Env} env
   * @param {string} id
   */
  constructor(env, id) {
    this.#open = () => env.PORT.connect(env.ADDRESS).getActor(env.LINK, env.CLASS, id);
  }

  /**
   * One connection serves all events of this object: `connect()` would keep each one open until the garbage collector
   * finds it. The result is handed on as it is, so that promises keep their disposers.
   * @param {string[]} path
   * @param {unknown[]} args
   */
  call(path, args) {
    const stub = this.stub();
    const result = parent(stub, path)[last(path)](...args);
    this.#watch(stub, result);
    return result;
  }

  /** @param {string[]} path */
  read(path) {
    const stub = this.stub();
    const result = Promise.resolve(parent(stub, path)[last(path)]);
    this.#watch(stub, result);
    return result;
  }

  stub() {
    return (this.#stub ??= this.#open());
  }

  /**
   * A connection that was lost, and a stub whose object was reset, stay broken for ever: the next event opens anew.
   * The event that failed is not repeated; it may have been delivered.
   * @param {unknown} stub
   * @param {Promise<unknown>} result
   */
  #watch(stub, result) {
    result.catch((error) => {
      const broken = error?.retryable || error?.durableObjectReset;
      if (broken && this.#stub === stub) this.#stub = undefined;
    });
  }
}

/**
 * A member of the far object, or a member of a member. workerd follows a path name by name and asks each step for own
 * properties, as of a plain object or function; only the last step is called or awaited, so only it goes out.
 * @param {Far} far
 * @param {string[]} path
 * @returns {any}
 */
function member(far, path) {
  return new Proxy(function () {}, {
    get(_target, name) {
      if (typeof name !== "string") return undefined;
      if (name === "then") {
        return (/** @type {any} */ resolve, /** @type {any} */ reject) => far.read(path).then(resolve, reject);
      }
      return member(far, [...path, name]);
    },
    getOwnPropertyDescriptor(_target, name) {
      if (typeof name !== "string") return undefined;
      return { configurable: true, enumerable: true, writable: false, value: member(far, [...path, name]) };
    },
    apply: (_target, _self, args) => far.call(path, args),
  });
}

/**
 * @param {any} stub
 * @param {string[]} path
 */
function parent(stub, path) {
  return path.slice(0, -1).reduce((object, name) => object[name], stub);
}

/** @param {string[]} path */
function last(path) {
  return path[path.length - 1];
}

/**
 * A raw connection to the object, joined to one behind the link.
 * @param {any} near
 * @param {Far} far
 */
async function splice(near, far) {
  const { localAddress } = await near.opened;
  const other = far.stub().connect(localAddress);
  await Promise.all([near.readable.pipeTo(other.writable), other.readable.pipeTo(near.writable)]);
}
