/** A browser as far as sessions go: one cookie, and redirects that are followed. */
export class UserAgent {
  readonly #origin: string;
  #cookie: string = "";

  constructor(origin: string) {
    this.#origin = origin;
  }

  async get(path: string): Promise<Response> {
    const headers = this.#cookie === "" ? {} : { cookie: this.#cookie };
    const response = await fetch(this.#origin + path, { headers, redirect: "manual" });
    const [set] = response.headers.getSetCookie();
    if (set !== undefined) this.#cookie = set.split(";")[0]!;
    const to = response.headers.get("location");
    return to === null ? response : this.get(to);
  }

  async json(path: string): Promise<unknown> {
    return (await this.get(path)).json();
  }

  async status(path: string): Promise<number> {
    const response = await this.get(path);
    await response.text();
    return response.status;
  }
}
