import { TransportError } from "@tidemark/transport";
import type { Delivery, Service, Subscription, Transport } from "@tidemark/transport";
import { MemorySubscription } from "./memory-subscription.ts";
import type { Planted } from "./memory-mesh.ts";
import type { MemoryTransport } from "./memory-transport.ts";

/** For each check one bug that it must see, made anew for each run: bugs may have state. */
export const DEFECTS: Readonly<Record<string, () => Planted>> = {
  "TRN-2 capabilities are the claims that were pinned": () => ({
    transport: (inner) => ({ capabilities: { ...inner.capabilities, ordered: false } }),
  }),
  "TRN-2 frames published once subscribe() resolved are seen": () => ({
    // Subscribes when the first frame is asked for.
    transport: (inner) => ({ subscribe: async (...given) => lazy(() => inner.subscribe(...given)) }),
  }),
  "TRN-2 frames travel in both directions": () => ({
    transport: (_, peer) => (peer === 1 ? { publish: async () => undefined } : {}),
  }),
  "TRN-2 three peers hear each other and themselves": () => ({
    transport: (_, peer) => (peer === 2 ? { publish: async () => undefined } : {}),
  }),
  "TRN-2 two subscriptions of one subject both get every frame": () => {
    const taken = new Set<string>();
    return {
      transport: (inner, peer) => ({
        subscribe: async (subject, options) => {
          const first = !taken.has(`${peer} ${subject}`);
          taken.add(`${peer} ${subject}`);
          return first ? inner.subscribe(subject, options) : new MemorySubscription(subject, () => undefined);
        },
      }),
    };
  },
  "TRN-2 a reader that keeps up misses nothing": () => {
    let count = 0;
    return {
      transport: (inner) => ({
        publish: async (...given) => (++count % 100 === 0 ? undefined : inner.publish(...given)),
      }),
    };
  },
  "TRN-2 frames of one subject arrive in order": () => {
    let count = 0;
    let held: (() => Promise<void>) | undefined;
    return {
      transport: (inner) => ({
        publish: async (...given) => {
          if (++count % 50 === 0) {
            held = () => inner.publish(...given);
            return;
          }
          await inner.publish(...given);
          await held?.();
          held = undefined;
        },
      }),
    };
  },
  "TRN-4 publish() copies before it returns": () => ({
    transport: (inner) => ({
      publish: async (...given) => {
        await Promise.resolve();
        await inner.publish(...given);
      },
    }),
  }),
  "TRN-4 readers share no bytes": () => {
    const frames = new Map<string, Delivery>();
    return {
      transport: (inner) => ({
        subscribe: async (...given) =>
          mapped(await inner.subscribe(...given), (delivery) => {
            const key = String(delivery.frame);
            const shared = frames.get(key) ?? delivery;
            frames.set(key, shared);
            return shared;
          }),
      }),
    };
  },
  "TRN-4 a view is published as the view": () => ({
    transport: (inner) => ({
      publish: (subject, frame, options) => inner.publish(subject, new Uint8Array(frame.buffer), options),
    }),
  }),

  "TRN-2 near misses of a subject stay apart": () => ({
    transport: (inner) => ({
      publish: (subject, ...rest) => inner.publish(subject.replaceAll("-", "_"), ...rest),
      subscribe: (subject, ...rest) => inner.subscribe(subject.replaceAll("-", "_"), ...rest),
    }),
  }),
  "TRN-2 what is no subject is INVALID_SUBJECT": () => ({
    transport: () => ({ release: async () => undefined }),
  }),
  "TRN-2 every allowed subject is carried": () => ({
    transport: (inner) => ({
      publish: async (subject, ...rest) => inner.publish(subject.slice(0, 128), ...rest),
    }),
  }),

  "TRN-2 empty frames are frames": () => ({
    transport: (inner) => ({
      publish: async (subject, frame, options) =>
        frame.length === 0 ? undefined : inner.publish(subject, frame, options),
    }),
  }),
  "TRN-2 a frame at the size limit passes": () => ({
    transport: (inner) => ({
      publish: async (subject, frame, options) => {
        if (frame.length >= inner.capabilities.frameBytesMax) throw tooLarge();
        await inner.publish(subject, frame, options);
      },
    }),
  }),
  "TRN-2 a frame above the size limit is FRAME_TOO_LARGE": () => ({
    transport: (inner) => ({
      publish: (subject, frame, options) => inner.publish(subject, truncated(inner, frame), options),
    }),
  }),
  "TRN-2 a request and an answer at the size limit pass": () => ({
    transport: (inner) => ({
      request: async (subject, frame, options) => {
        if (frame.length >= inner.capabilities.frameBytesMax) throw tooLarge();
        return inner.request(subject, frame, options);
      },
    }),
  }),
  "TRN-2 a request above the size limit is FRAME_TOO_LARGE": () => ({
    transport: (inner) => ({
      request: (subject, frame, options) => inner.request(subject, truncated(inner, frame), options),
    }),
  }),
  "TRN-2 an answer above the size limit never arrives": () => ({
    transport: (inner) => ({
      serve: (subject, handler, options) =>
        inner.serve(subject, async (...given) => truncated(inner, await handler(...given)), options),
    }),
  }),

  "TRN-2 publishing again under one sequence is harmless": () => {
    let highest = 0;
    return {
      transport: (inner) => ({
        publish: async (subject, frame, options) => {
          const { epoch = 0, last = 0 } = options?.sequence ?? {};
          const number = epoch * 1_000_000 + last;
          if (number > 0 && number <= highest) throw new TransportError("PUBLISH_FAILED", "A repeat");
          highest = Math.max(highest, number);
          await inner.publish(subject, frame, options);
        },
      }),
    };
  },
  "TRN-2 frames without a sequence pass between others": () => {
    const numbered = new Set<string>();
    return {
      transport: (inner) => ({
        publish: async (subject, frame, options) => {
          if (options?.sequence !== undefined) numbered.add(subject);
          else if (numbered.has(subject)) return;
          await inner.publish(subject, frame, options);
        },
      }),
    };
  },
  "TRN-2 release() is harmless": () => {
    let released = 0;
    return {
      transport: (inner) => ({
        release: async (_, { last }) => void (released = last),
        // Forgets that a new epoch begins to count again.
        publish: async (subject, frame, options) => {
          if ((options?.sequence?.last ?? Infinity) > released) await inner.publish(subject, frame, options);
        },
      }),
    };
  },
  "TRN-2 an unknown position is ignored": () => ({
    transport: (inner) => ({
      subscribe: async (subject, options) => {
        if (options?.from !== undefined && !/^\d+$/.test(options.from))
          throw new TransportError("PUBLISH_FAILED", "No such position");
        return inner.subscribe(subject, options);
      },
    }),
  }),
  "TRN-2 a subscription resumes after a position": () => ({
    transport: (inner) => ({ subscribe: (subject) => inner.subscribe(subject) }),
  }),
  "TRN-2 what can be replayed outlives the broker": () => ({
    mesh: (medium) => ({ restartBroker: async () => void (medium.stored.length = 0) }),
  }),

  "TRN-1 leaving a for await loop ends the subscription": () => ({
    transport: (inner) => ({
      subscribe: async (...given) => {
        const subscription = await inner.subscribe(...given);
        const iterator = subscription[Symbol.asyncIterator]();
        return like(subscription, { [Symbol.asyncIterator]: () => ({ next: () => iterator.next() }) });
      },
    }),
  }),
  "TRN-1 close() of a subscription ends its iteration": () => ({
    transport: (inner) => ({
      subscribe: async (...given) => like(await inner.subscribe(...given), { close: async () => undefined }),
    }),
  }),
  "TRN-1 close() of a subscription leaves the others open": () => ({
    transport: (inner) => ({
      subscribe: async (...given) =>
        like(await inner.subscribe(...given), {
          close: async () => {
            for (const one of inner.subscriptions) await one.close();
          },
        }),
    }),
  }),
  "TRN-1 Symbol.asyncDispose closes": () => ({
    transport: () => ({ [Symbol.asyncDispose]: async () => undefined }),
  }),
  "TRN-3 a slow reader slows nobody": () => {
    // Readers of a subject move together: the second is at most 300 frames ahead of the first.
    const reads = new Map<string, number>();
    return {
      transport: (inner) => ({
        subscribe: async (subject, options) => {
          const subscription = await inner.subscribe(subject, options);
          if (!reads.has(subject)) {
            reads.set(subject, 0);
            return mapped(subscription, (delivery) => {
              reads.set(subject, reads.get(subject)! + 1);
              return delivery;
            });
          }
          let own = 0;
          return mapped(subscription, (delivery) =>
            ++own > reads.get(subject)! + 300 ? new Promise(() => undefined) : delivery,
          );
        },
      }),
    };
  },
  "TRN-3 a stalled channel starves no other": () => {
    // One queue for all subjects.
    let unread = 0;
    return {
      transport: (inner) => ({
        publish: async (...given) => {
          if (unread >= 256) return;
          unread += 1;
          await inner.publish(...given);
        },
        subscribe: async (...given) =>
          mapped(await inner.subscribe(...given), (delivery) => {
            unread -= 1;
            return delivery;
          }),
      }),
    };
  },

  "TRN-1 an aborted signal stops every call": () => ({
    transport: (inner) => ({ publish: (subject, frame) => inner.publish(subject, frame) }),
  }),
  "TRN-1 an abort in the middle of a call settles it": () => ({
    transport: (inner) => ({
      publish: async (subject, frame, options) => {
        await inner.publish(subject, frame, options);
        if (options?.signal === undefined) return;
        const { signal } = options;
        await new Promise((_, reject) => {
          signal.addEventListener("abort", () => reject(new Error("AbortError")));
          if (signal.aborted) reject(new Error("AbortError"));
        });
      },
    }),
  }),
  "TRN-1 an abort ends an open subscription": () => ({
    transport: (inner) => ({
      subscribe: async (subject, { signal, ...rest } = {}) => {
        signal?.throwIfAborted();
        return inner.subscribe(subject, rest);
      },
    }),
  }),
  "TRN-1 an abort ends a waiting request": () => ({
    transport: (inner) => ({
      request: async (subject, frame, { signal, timeoutMs }) => {
        signal?.throwIfAborted();
        return inner.request(subject, frame, { timeoutMs });
      },
    }),
  }),
  "TRN-1 an abort ends a service": () => ({
    transport: (inner) => ({
      serve: async (subject, handler, { signal } = {}) => {
        signal?.throwIfAborted();
        return inner.serve(subject, handler);
      },
    }),
  }),

  "TRN-1 close() is idempotent": () => ({
    transport: (inner) => ({
      close: async () => {
        if (inner.status.state === "closed") throw new TransportError("TRANSPORT_CLOSED", "Closed already");
        await inner.close();
      },
    }),
  }),
  "TRN-1 close() ends iterations": () => ({
    transport: (inner) => ({
      subscribe: async (...given) => {
        const subscription = await inner.subscribe(...given);
        const iterator = subscription[Symbol.asyncIterator]();
        const next = async (): Promise<IteratorResult<Delivery>> => {
          const result = await iterator.next();
          if (result.done === true && inner.status.state === "closed") {
            throw new TransportError("TRANSPORT_CLOSED", "The transport was closed");
          }
          return result;
        };
        return like(subscription, { [Symbol.asyncIterator]: () => ({ next }) });
      },
    }),
  }),
  "TRN-1 close() rejects waiting requests": () => ({
    transport: (inner) => ({
      request: (...given) => {
        const asking = inner.request(...given);
        return inner.status.state === "closed" ? asking : asking.catch(forTransportClosed);
      },
    }),
  }),
  "TRN-1 close() does not wait for handlers": () => ({
    transport: (inner) => ({
      serve: (subject, handler, options) =>
        inner.serve(subject, (frame) => handler(frame, { signal: new AbortController().signal }), options),
    }),
  }),
  "TRN-1 a closed transport rejects every call": () => ({
    transport: () => ({ release: async () => undefined }),
  }),
  "TRN-1 the documented order of errors decides": () => ({
    transport: (inner) => ({
      publish: async (subject, frame, options) => {
        if (frame.length > inner.capabilities.frameBytesMax) throw tooLarge();
        await inner.publish(subject, frame, options);
      },
    }),
  }),
  "TRN-1 a wait that is none is a RangeError": () => ({
    transport: (inner) => ({
      request: (subject, frame, options) =>
        inner.request(subject, frame, { ...options, timeoutMs: Math.max(options.timeoutMs || 0, 10) }),
    }),
  }),
  "TRN-2 a peer restarts under its name": () => ({
    transport: (_, __, life) => (life === 2 ? { publish: async () => undefined } : {}),
  }),

  "TRN-2 requests are answered in both directions": () => ({
    transport: (inner, peer) => ({
      request: async (subject, frame, options) => {
        if (peer === 1 && subject === "inbox.1") throw new TransportError("NO_RESPONDER", "One way only");
        return inner.request(subject, frame, options);
      },
    }),
  }),
  "TRN-2 concurrent requests get their own answers": () => {
    // The first answer goes to whoever asked first.
    const asking: { resolve: (answer: Uint8Array) => void; reject: (error: unknown) => void }[] = [];
    return {
      transport: (inner) => ({
        request: (...given) =>
          new Promise((resolve, reject) => {
            asking.push({ resolve, reject });
            inner.request(...given).then(
              (answer) => asking.shift()!.resolve(answer),
              (error: unknown) => asking.shift()!.reject(error),
            );
          }),
      }),
    };
  },
  "TRN-2 a handler that throws answers nothing": () => ({
    transport: (inner) => ({
      serve: (subject, handler, options) =>
        inner.serve(
          subject,
          async (...given) => {
            try {
              return await handler(...given);
            } catch (error) {
              return new TextEncoder().encode(String(error));
            }
          },
          options,
        ),
    }),
  }),
  "TRN-2 a handler that hangs is REQUEST_TIMEOUT": () => ({
    transport: (inner) => ({
      request: (...given) =>
        inner.request(...given).catch((error: unknown) => {
          throw isCode(error, "REQUEST_TIMEOUT") ? new TransportError("NO_RESPONDER", "Gave up") : error;
        }),
    }),
  }),
  "TRN-2 a request that nobody serves is not answered": () => ({
    transport: (inner) => ({
      request: (...given) =>
        inner.request(...given).catch((error: unknown) => {
          if (isCode(error, "NO_RESPONDER")) return new Uint8Array(0);
          throw error;
        }),
    }),
  }),
  "TRN-2 a second handler is SUBJECT_IN_USE": () => {
    const services = new Map<string, Service>();
    return {
      transport: (inner) => ({
        serve: async (subject, handler, options) => {
          await services.get(subject)?.close();
          const service = await inner.serve(subject, handler, options);
          services.set(subject, service);
          return service;
        },
      }),
    };
  },
  "TRN-2 a closed service is gone": () => ({
    transport: (inner) => ({
      serve: async (...given) => {
        const service = await inner.serve(...given);
        return { ...service, close: async () => undefined };
      },
    }),
  }),
  "TRN-2 near misses of a served subject reach no handler": () => ({
    transport: (inner) => ({
      request: (subject, ...rest) => inner.request(subject.replace("inbox.10", "inbox.1"), ...rest),
    }),
  }),
  "TRN-2 requests and frames of one subject stay apart": () => ({
    transport: (inner) => ({
      request: async (subject, frame, options) => {
        await inner.publish(subject, frame);
        return inner.request(subject, frame, options);
      },
    }),
  }),
  "TRN-4 requests and answers are copied": () => ({
    transport: (inner) => ({
      request: async (...given) => {
        await Promise.resolve();
        return inner.request(...given);
      },
    }),
  }),

  "TRN-1 an open transport becomes ready": () => ({
    transport: () => ({ status: { state: "connecting" } }),
  }),
  "TRN-1 close() is announced once": () => ({
    transport: () => ({ onStatus: () => () => undefined }),
  }),
  "TRN-1 onStatus() listeners can leave": () => ({
    transport: (inner) => ({
      onStatus: (listener) => {
        inner.onStatus(listener);
        return () => undefined;
      },
    }),
  }),
  "TRN-2 a cut link is told, and flows after it heals": () => ({
    // Tells that a link was cut, not that it healed.
    transport: (inner) => ({
      onStatus: (listener) => inner.onStatus((status) => status.state !== "ready" && listener(status)),
    }),
  }),
  "TRN-2 a link cut one way lets the other way through": () => ({
    mesh: (medium) => ({
      cutOneWay: async (from, to) => {
        medium.cut(from, to);
        medium.cut(to, from);
      },
    }),
  }),
  "TRN-2 a restart of the broker is survived": () => ({
    mesh: (medium) => ({
      restartBroker: async () => {
        for (const peer of medium.peers.values()) peer.subscriptions.clear();
      },
    }),
  }),
};

function tooLarge(): TransportError {
  return new TransportError("FRAME_TOO_LARGE", "Too large");
}

function truncated(inner: MemoryTransport, frame: Uint8Array): Uint8Array {
  return frame.subarray(0, inner.capabilities.frameBytesMax);
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof TransportError && error.code === code;
}

/** Leaves a request that the transport's end cut short waiting for ever. */
function forTransportClosed(error: unknown): Promise<never> {
  if (isCode(error, "TRANSPORT_CLOSED")) return new Promise(() => undefined);
  throw error;
}

/** A subscription with some of its members replaced. */
function like(subscription: Subscription, planted: Partial<Subscription>): Subscription {
  return {
    close: () => subscription.close(),
    [Symbol.asyncDispose]: () => subscription.close(),
    [Symbol.asyncIterator]: () => subscription[Symbol.asyncIterator](),
    ...planted,
  };
}

/** A subscription whose frames pass through a function. */
function mapped(
  subscription: Subscription,
  change: (delivery: Delivery) => Delivery | Promise<Delivery>,
): Subscription {
  const iterator = subscription[Symbol.asyncIterator]();
  const next = async (): Promise<IteratorResult<Delivery>> => {
    const result = await iterator.next();
    return result.done === true ? result : { done: false, value: await change(result.value) };
  };
  const leave = async (): Promise<IteratorResult<Delivery>> => {
    await subscription.close();
    return { done: true, value: undefined };
  };
  return like(subscription, { [Symbol.asyncIterator]: () => ({ next, return: leave }) });
}

/** A subscription that begins with the first `next`. */
function lazy(open: () => ReturnType<Transport["subscribe"]>): Subscription {
  let opening: Promise<Subscription> | undefined;
  const opened = (): Promise<Subscription> => (opening ??= open());
  const close = async (): Promise<void> => (await opened()).close();
  return {
    close,
    [Symbol.asyncDispose]: close,
    async *[Symbol.asyncIterator]() {
      yield* await opened();
    },
  };
}
