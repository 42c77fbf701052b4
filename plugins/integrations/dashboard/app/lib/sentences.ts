import { formatMoment, formatTime } from './format.ts'

const ISO = /\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?Z/

/** Returns a sentence with its moments in the time zone of the reader, without the date if it is today. */
export function localSentence(sentence: string, now: number = Date.now()): string {
  return sentence.replaceAll(new RegExp(ISO, 'g'), (iso) => {
    const ts = Date.parse(iso)
    const today = new Date(ts).toDateString() === new Date(now).toDateString()
    return today ? formatTime(ts).slice(0, 8) : formatMoment(ts).replace(/\.\d+$/, '')
  })
}
