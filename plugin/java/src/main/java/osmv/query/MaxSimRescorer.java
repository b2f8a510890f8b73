package osmv.query;

import java.io.IOException;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.apache.lucene.index.DocValues;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.index.ReaderUtil;
import org.apache.lucene.search.Explanation;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.search.TopDocs;
import org.opensearch.search.rescore.RescoreContext;
import org.opensearch.search.rescore.Rescorer;
import osmv.codecs.Codebook;
import osmv.maxsim.MaxSim;
import osmv.maxsim.QueryVectors;
import osmv.query.MaxSimRescorerBuilder.First;

/**
 * Orders the best hits of a shard by MaxSim, whose scores take the place of the first stage's. What isn't scored (beyond the
 * window, not kept by the first pass, without vectors, damaged) comes behind with score 0, in the order that it had.
 *
 * <p>Hits are known here by their place in the first stage's order; a hit's score, 0 where it has none, is kept under its place.
 */
final class MaxSimRescorer implements Rescorer {
    private static final MaxSimRescorer INSTANCE = new MaxSimRescorer();
    /** A hit's document, score, sort key, new place, and membership of the rescored. */
    private static final int BYTES_PER_HIT = 128;
    /** Documents that are prefetched while one is scored: some megabytes, whatever the window. */
    private static final int AHEAD = 64;

    private MaxSimRescorer() {}

    /** Fields are null where the index doesn't have them, the codebook where the request names none. */
    static final class Context extends RescoreContext {
        private final String field;
        private final QueryVectors query;
        private final Codebook codebook;
        private final First first;
        private final Searches searches;

        Context(int windowSize, String field, QueryVectors query, Codebook codebook, First first, Searches searches) {
            super(windowSize, INSTANCE);
            this.field = field;
            this.query = query;
            this.codebook = codebook;
            this.first = first;
            this.searches = searches;
        }
    }

    @Override
    public TopDocs rescore(TopDocs topDocs, IndexSearcher searcher, RescoreContext rescoreContext) throws IOException {
        Context context = (Context) rescoreContext;
        RunningSearch search = context.searches.of(searcher);
        ScoreDoc[] hits = topDocs.scoreDocs;
        int window = Math.min(hits.length, context.getWindowSize());
        search.account((long) BYTES_PER_HIT * hits.length);
        MaxSim maxsim = search.maxsim(context.query, context.codebook);

        long[] candidates = new long[window];
        for (int place = 0; place < window; place++) {
            candidates[place] = place;
        }
        if (context.first != null) {
            float[] scores = score(search, searcher, context.first.field(), maxsim, hits, candidates);
            candidates = Arrays.copyOf(best(scores), Math.min(window, context.first.keep()));
            candidates = Arrays.stream(candidates).filter(place -> scores[(int) place] > 0).toArray();
        }
        float[] scores = score(search, searcher, context.field, maxsim, hits, candidates);
        if (search.outOfTime()) {
            search.answerInPart();
        }

        Set<Integer> rescored = new HashSet<>();
        ScoreDoc[] ordered = new ScoreDoc[hits.length];
        long[] order = best(scores);
        for (int i = 0; i < hits.length; i++) {
            ScoreDoc hit = hits[(int) order[i]];
            float score = scores[(int) order[i]];
            ordered[i] = new ScoreDoc(hit.doc, score, hit.shardIndex);
            if (score > 0) {
                rescored.add(hit.doc);
            }
        }
        context.setRescoredDocs(rescored);
        return new TopDocs(topDocs.totalHits, ordered);
    }

    /**
     * The scores of the candidates, which are places, under their places. In the order of documents: doc values are read
     * forwards only, and so are disks best.
     */
    private static float[] score(
        RunningSearch search,
        IndexSearcher searcher,
        String field,
        MaxSim maxsim,
        ScoreDoc[] hits,
        long[] candidates
    ) throws IOException {
        float[] scores = new float[hits.length];
        if (field == null) {
            return scores;
        }
        // The document in the high half, the place in the low one.
        long[] byDocument = new long[candidates.length];
        for (int i = 0; i < candidates.length; i++) {
            byDocument[i] = (long) hits[(int) candidates[i]].doc << 32 | candidates[i];
        }
        Arrays.sort(byDocument);
        List<LeafReaderContext> leaves = searcher.getIndexReader().leaves();
        int from = 0;
        while (from < byDocument.length) {
            LeafReaderContext leaf = leaves.get(ReaderUtil.subIndex((int) (byDocument[from] >>> 32), leaves));
            int end = leaf.docBase + leaf.reader().maxDoc();
            int to = from + 1;
            while (to < byDocument.length && (int) (byDocument[to] >>> 32) < end) {
                to++;
            }
            score(search, leaf, field, maxsim, byDocument, from, to, scores);
            from = to;
        }
        return scores;
    }

    /** The documents {@code byDocument[from]} to {@code byDocument[to - 1]}, which lie in that leaf. */
    private static void score(
        RunningSearch search,
        LeafReaderContext leaf,
        String field,
        MaxSim maxsim,
        long[] byDocument,
        int from,
        int to,
        float[] scores
    ) throws IOException {
        QueryVectors query = maxsim.query();
        LeafScoring scoring = new LeafScoring(search, leaf, field, DocValues.getBinary(leaf.reader(), field), maxsim);
        Prefetch prefetch = Prefetch.of(leaf.reader(), field);
        int next = from;
        long start = System.nanoTime();
        for (int i = from; i < to && !search.outOfTime(); i++) {
            search.checkCancelled();
            for (; next < Math.min(to, i + AHEAD); next++) {
                prefetch.prefetch((int) (byDocument[next] >>> 32) - leaf.docBase);
            }
            int doc = (int) (byDocument[i] >>> 32) - leaf.docBase;
            if (scoring.values().advanceExact(doc)) {
                double raw = scoring.score();
                scores[(int) byDocument[i]] = Double.isNaN(raw) ? 0 : query.scoring().score(raw, query.weights());
            }
        }
        scoring.took(System.nanoTime() - start);
    }

    /**
     * All places, the best score first, equal scores in the order of their places. Scores are not negative, so that their bits
     * have their order.
     */
    private static long[] best(float[] scores) {
        long[] places = new long[scores.length];
        for (int place = 0; place < places.length; place++) {
            places[place] = (long) (Integer.MAX_VALUE - Float.floatToIntBits(scores[place])) << 32 | place;
        }
        Arrays.sort(places);
        for (int i = 0; i < places.length; i++) {
            places[i] = (int) places[i];
        }
        return places;
    }

    @Override
    public Explanation explain(int doc, IndexSearcher searcher, RescoreContext rescoreContext, Explanation firstStage)
        throws IOException {
        Context context = (Context) rescoreContext;
        if (!context.isRescored(doc)) {
            return Explanation.match(
                0f,
                "not scored by maxsim: beyond the window, not kept, or without whole token vectors; before that:",
                firstStage
            );
        }
        List<LeafReaderContext> leaves = searcher.getIndexReader().leaves();
        LeafReaderContext leaf = leaves.get(ReaderUtil.subIndex(doc, leaves));
        RunningSearch search = context.searches.none();
        MaxSim maxsim = search.maxsim(context.query, context.codebook);
        return Explanations.explain(search, leaf, context.field, doc - leaf.docBase, maxsim, 1, null);
    }
}
