export interface ListenOptions {
  /** Default 0, which is any that is free. */
  port?: number
  /** The address to listen on. Default `127.0.0.1`, which other machines do not reach. */
  host?: string
}

export interface Listening {
  /** Where the server is, such as `http://127.0.0.1:3000`. */
  url: string
  port: number
  /** Takes no more connections, and ends those there are once they have been answered. */
  close(): Promise<void>
}
