package osmv.query;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.lucene.index.BinaryDocValues;
import org.apache.lucene.index.DocValues;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.search.Explanation;
import osmv.maxsim.Alignment;
import osmv.maxsim.MaxSim;
import osmv.maxsim.QueryVectors;

/** How a document came by its score: the raw score, and for each query token the document token that it matches best. */
final class Explanations {
    private Explanations() {}

    static Explanation explain(
        RunningSearch search,
        LeafReaderContext leaf,
        String field,
        int doc,
        MaxSim maxsim,
        float boost,
        Double minScore
    ) throws IOException {
        QueryVectors query = maxsim.query();
        BinaryDocValues values = DocValues.getBinary(leaf.reader(), field);
        LeafScoring scoring = new LeafScoring(search, leaf, field, values, maxsim);
        if (!values.advanceExact(doc)) {
            return Explanation.noMatch("no token vectors in field [" + field + "]");
        }
        double raw = scoring.score();
        if (Double.isNaN(raw)) {
            return Explanation.noMatch("the token vectors in field [" + field + "] are damaged: index the document again");
        }
        if (minScore != null && raw < minScore) {
            return Explanation.noMatch("raw " + query.scoring() + " " + raw + " is below min_score " + minScore);
        }
        Alignment alignment = scoring.align();
        List<Explanation> details = new ArrayList<>();
        details.add(Explanation.match(raw, "S, raw " + query.scoring()));
        details.add(Explanation.match(query.scoring().scale(query.weights()), "n"));
        details.add(Explanation.match(boost, "boost"));
        details.add(Explanation.match(alignment.documentTokens(), "document tokens, codec " + alignment.codec()));
        for (int i = 0; i < query.count(); i++) {
            int token = alignment.tokens()[i];
            details.add(
                Explanation.match(
                    token < 0 ? 0f : alignment.similarities()[i],
                    "query token " + i + ", weight " + query.weights()[i] + ": "
                        + (token < 0 ? "no document token" : "similarity to document token " + token)
                )
            );
        }
        float score = boost * query.scoring().score(raw, query.weights());
        String formula = raw < 0 ? "boost * n * n / (n - S)" : "boost * (n + S)";
        return Explanation.match(score, "maxsim of field [" + field + "], " + formula + " of:", details);
    }
}
