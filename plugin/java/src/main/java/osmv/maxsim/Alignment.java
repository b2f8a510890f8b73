package osmv.maxsim;

/**
 * Which document token each query token matches best, and how well: {@code tokens[i]}, -1 where the document has none, and
 * {@code similarities[i]}.
 */
public record Alignment(int[] tokens, float[] similarities, String codec, int documentTokens) {}
