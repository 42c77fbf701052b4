export interface ListenOptions {
  /** Default 0: any free port. */
  port?: number
  /** The address to listen on. Default `127.0.0.1`, which other machines cannot reach. */
  host?: string
}

export interface Listening {
  /** The address of the server, such as `http://127.0.0.1:3000`. */
  url: string
  port: number
  /** Accepts no more connections, and closes the open ones after their requests have been answered. */
  close(): Promise<void>
}
