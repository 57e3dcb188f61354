export type Chart = {
  title: string
  /** What the parts of a bar stand for. */
  series: readonly string[]
  groups: readonly { label: string; bars: readonly { label: string; values: readonly number[] }[] }[]
}

const COLORS = ['#4269d0', '#efb118', '#6cc5b0']
const BAR = 16
const GAP = 14
const LEFT = 270
const WIDTH = 900
const TOP = 60

/** Horizontal bars in groups, as an SVG that reads on a light and on a dark page. */
export function stackedBars({ title, series, groups }: Chart): string {
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)
  const longest = Math.max(...groups.flatMap(({ bars }) => bars.map(({ values }) => sum(values))))
  const scale = (WIDTH - LEFT - 80) / longest
  const parts: string[] = []
  let y = TOP
  for (const { label, bars } of groups) {
    parts.push(text(10, y + (bars.length * BAR) / 2 + 4, label, 'font-weight="600" font-size="12"'))
    for (const bar of bars) {
      parts.push(text(LEFT - 8, y + BAR - 4, bar.label, 'text-anchor="end" font-size="11"'))
      let x = LEFT
      for (const [index, value] of bar.values.entries()) {
        const width = value * scale
        parts.push(
          `<rect x="${x.toFixed(1)}" y="${y + 2}" width="${width.toFixed(1)}" height="${BAR - 4}" fill="${COLORS[index]}"/>`,
        )
        x += width
      }
      parts.push(
        text(x + 6, y + BAR - 4, sum(bar.values).toLocaleString('en', { maximumFractionDigits: 0 }), 'font-size="11"'),
      )
      y += BAR
    }
    y += GAP
  }
  const legend = series.map(
    (name, index) =>
      `<rect x="${LEFT + index * 130}" y="34" width="11" height="11" fill="${COLORS[index]}"/>${text(LEFT + index * 130 + 16, 44, name, 'font-size="11"')}`,
  )
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" width="${WIDTH}" height="${y}" role="img" aria-label="${title}" font-family="system-ui, sans-serif" font-size="13">
<style>text { fill: #24292f } .page { fill: #fff } @media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .page { fill: #0d1117 } }</style>
<rect class="page" width="${WIDTH}" height="${y}"/>
${text(10, 24, title, 'font-size="15" font-weight="600"')}
${[...legend, ...parts].join('\n')}
</svg>
`
}

const text = (x: number, y: number, content: string, attributes: string): string =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${attributes}>${content}</text>`
