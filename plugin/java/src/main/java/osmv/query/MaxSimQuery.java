package osmv.query;

import java.io.IOException;
import java.util.Objects;
import org.apache.lucene.index.BinaryDocValues;
import org.apache.lucene.index.DocValues;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.search.ConstantScoreScorer;
import org.apache.lucene.search.DocIdSetIterator;
import org.apache.lucene.search.Explanation;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.QueryVisitor;
import org.apache.lucene.search.ScoreMode;
import org.apache.lucene.search.Scorer;
import org.apache.lucene.search.ScorerSupplier;
import org.apache.lucene.search.TwoPhaseIterator;
import org.apache.lucene.search.Weight;
import org.apache.lucene.util.Accountable;
import osmv.codecs.Codebook;
import osmv.maxsim.QueryVectors;

/**
 * Matches the documents that have token vectors in a field, and scores them by MaxSim.
 *
 * <p>Damaged documents don't match. They are found by scoring, so that where nobody asks for scores or a minimum every document
 * with a value matches, and none is read.
 */
final class MaxSimQuery extends Query implements Accountable {
    private final String field;
    private final QueryVectors query;
    /** Null where the request names none. */
    private final Codebook codebook;
    /** Of the raw score; null for none. */
    private final Double minScore;

    private final Searches searches;

    MaxSimQuery(String field, QueryVectors query, Codebook codebook, Double minScore, Searches searches) {
        this.field = field;
        this.query = query;
        this.codebook = codebook;
        this.minScore = minScore;
        this.searches = searches;
    }

    @Override
    public Weight createWeight(IndexSearcher searcher, ScoreMode scoreMode, float boost) {
        return new MaxSimWeight(searches.of(searcher), scoreMode, boost);
    }

    @Override
    public void visit(QueryVisitor visitor) {
        if (visitor.acceptField(field)) {
            visitor.visitLeaf(this);
        }
    }

    @Override
    public String toString(String defaultField) {
        String minimum = minScore == null ? "" : ", min_score " + minScore;
        return "maxsim(" + field + ": " + query.count() + " x " + query.dim() + ", " + query.scoring() + minimum + ")";
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof MaxSimQuery maxsim && field.equals(maxsim.field) && query.equals(maxsim.query)
            && Objects.equals(codebook, maxsim.codebook) && Objects.equals(minScore, maxsim.minScore);
    }

    @Override
    public int hashCode() {
        return Objects.hash(field, query, codebook, minScore);
    }

    /** What the query cache holds when it keeps this query as a key. */
    @Override
    public long ramBytesUsed() {
        return 256 + query.count() * (4L * query.dim() + 24);
    }

    private final class MaxSimWeight extends Weight {
        private final RunningSearch search;
        private final ScoreMode scoreMode;
        private final float boost;

        MaxSimWeight(RunningSearch search, ScoreMode scoreMode, float boost) {
            super(MaxSimQuery.this);
            this.search = search;
            this.scoreMode = scoreMode;
            this.boost = boost;
        }

        @Override
        public ScorerSupplier scorerSupplier(LeafReaderContext leaf) throws IOException {
            if (leaf.reader().getFieldInfos().fieldInfo(field) == null) {
                return null;
            }
            BinaryDocValues values = DocValues.getBinary(leaf.reader(), field);
            return new ScorerSupplier() {
                @Override
                public Scorer get(long leadCost) {
                    if (scoreMode.needsScores() || minScore != null) {
                        LeafScoring scoring = new LeafScoring(search, leaf, field, values, search.maxsim(query, codebook));
                        return new MaxSimScorer(search, scoring, boost);
                    }
                    return new ConstantScoreScorer(0, scoreMode, values);
                }

                @Override
                public long cost() {
                    return values.cost();
                }
            };
        }

        @Override
        public Explanation explain(LeafReaderContext leaf, int doc) throws IOException {
            RunningSearch none = searches.none();
            return Explanations.explain(none, leaf, field, doc, none.maxsim(query, codebook), boost, minScore);
        }

        @Override
        public boolean isCacheable(LeafReaderContext leaf) {
            // As a key of the query cache it would hold the codebook, too, which is not the cache's to hold.
            return codebook == null && DocValues.isCacheable(leaf, field);
        }
    }

    private final class MaxSimScorer extends Scorer {
        private final LeafScoring leaf;
        private final float boost;
        private final TwoPhaseIterator matches;
        private double raw;

        MaxSimScorer(RunningSearch search, LeafScoring leaf, float boost) {
            this.leaf = leaf;
            this.boost = boost;
            double minimum = minScore == null ? Double.NEGATIVE_INFINITY : minScore;
            matches = new TwoPhaseIterator(leaf.values()) {
                @Override
                public boolean matches() throws IOException {
                    search.checkCancelled();
                    if (search.outOfTime()) {
                        search.answerInPart();
                        return false;
                    }
                    long start = System.nanoTime();
                    raw = leaf.score();
                    leaf.took(System.nanoTime() - start);
                    return raw >= minimum;
                }

                /** Far more than any other clause: a few hundred document tokens meet every query token. */
                @Override
                public float matchCost() {
                    return 100f * query.count() * query.dim();
                }
            };
        }

        @Override
        public int docID() {
            return leaf.values().docID();
        }

        @Override
        public DocIdSetIterator iterator() {
            return TwoPhaseIterator.asDocIdSetIterator(matches);
        }

        @Override
        public TwoPhaseIterator twoPhaseIterator() {
            return matches;
        }

        @Override
        public float score() {
            return boost * query.scoring().score(raw, query.weights());
        }

        /** Nothing is known of a document before it is scored. */
        @Override
        public float getMaxScore(int upTo) {
            return Float.POSITIVE_INFINITY;
        }
    }
}
