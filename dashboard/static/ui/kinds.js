// What each type of span looks like. One list; a type that is not in it looks like a plain span.

/** @type {Record<string, { label: string, color: string }>} */
const KINDS = {
  "llm.request": { label: "model", color: "--c1" },
  "llm.embedding": { label: "embedding", color: "--c7" },
  "agent.run": { label: "agent", color: "--c4" },
  "tool.call": { label: "tool", color: "--c5" },
  "retrieval.query": { label: "retrieval", color: "--c3" },
  "guardrail.check": { label: "guardrail", color: "--c6" },
  "evaluation.score": { label: "evaluation", color: "--c2" },
  "feedback.rating": { label: "feedback", color: "--c2" },
};
const PLAIN = { label: "span", color: "--other" };

/** @param {string} type */
export function kind(type) {
  return KINDS[type] ?? (type === "span" ? PLAIN : { label: type, color: PLAIN.color });
}
