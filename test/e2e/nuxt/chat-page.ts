import type { Browser, Locator } from 'playwright-core'
import type { Server } from './app.ts'
import { openPage, type RunPage } from './run-page.ts'

export interface ChatPage extends Pick<RunPage, 'page' | 'status' | 'button'> {
  /** Waits until the first answer matches. */
  answer(pattern: RegExp): Promise<void>
  /** The texts of all answers. */
  answers(): Promise<string[]>
  /** All texts of the first answer that the page has shown since it was opened. */
  shown(): Promise<string[]>
}

const TEXT = '[data-role=assistant] [data-part=text]'
/** Records each text of the first answer in the page. */
const RECORD = `window.shown = []
new MutationObserver(() => {
  const text = document.querySelector(${JSON.stringify(TEXT)})?.textContent
  if (text && text !== window.shown.at(-1)) window.shown.push(text)
}).observe(document, { subtree: true, childList: true, characterData: true })`

/** Opens the chat of the playground in a separate window. */
export async function openChat(browser: Browser, server: Server): Promise<ChatPage> {
  const { page, status, button } = await openPage(browser, server, '/chat?id=one')
  await page.evaluate(RECORD)
  const texts: Locator = page.locator(TEXT)
  return {
    page,
    status,
    button,
    answer: (pattern) => texts.first().filter({ hasText: pattern }).waitFor(),
    answers: () => texts.allInnerTexts(),
    shown: () => page.evaluate<string[]>('window.shown'),
  }
}
