package osmv.maxsim;

/** The query was made with another encoder than the documents: an error of the request, not of a document. */
public final class DimensionMismatch extends IllegalArgumentException {
    public DimensionMismatch(int query, int stored) {
        super(
            "the query's vectors have " + query + " dimensions, the stored ones " + stored
                + ": search with the encoder that made the index"
        );
    }
}
