import { handleChat } from 'nuxt-queue/ai/server'

/** Everyone who knows the id of a chat may read it. A real application passes the user of the session as `owner`. */
export default defineEventHandler((event) =>
  handleChat(useQueue(), toWebRequest(event), { worker: 'chat', owner: 'visitors of the playground' }),
)
