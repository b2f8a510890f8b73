// Numbers as people read them.

const whole = new Intl.NumberFormat("en");

export const count = (number) => (number === null || number === undefined ? "unknown" : whole.format(number));

export const milliseconds = (number) =>
  number >= 100 ? `${whole.format(Math.round(number))} ms` : `${number.toFixed(number >= 10 ? 1 : 2)} ms`;

export function score(number) {
  if (number === null || number === undefined) return "–";
  return number !== 0 && Math.abs(number) < 0.1 ? number.toPrecision(3) : number.toFixed(3);
}

export const percent = (share) => `${(share * 100).toFixed(share > 0.9995 || share === 0 ? 0 : 1)} %`;

export const share = (part, all) => (all > 0 ? Math.min(1, Math.max(0, part / all)) : 0);

export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

export function bytes(number) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let i = 0;
  for (; number >= 1000 && i < units.length - 1; i++) number /= 1000;
  return `${number.toFixed(i && number < 100 ? 1 : 0)} ${units[i]}`;
}

// Round steps of 1, 2 or 5 for an axis from `low` to `high`.
export function steps(low, high, wanted = 5) {
  const rough = (high - low) / wanted || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough * 0.999);
  const values = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++)
    values.push(Number((i * step).toPrecision(12)));
  return values;
}
