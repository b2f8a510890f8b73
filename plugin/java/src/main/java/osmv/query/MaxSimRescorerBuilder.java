package osmv.query;

import java.io.IOException;
import java.util.Objects;
import org.opensearch.core.common.ParsingException;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.xcontent.XContentBuilder;
import org.opensearch.core.xcontent.XContentParser;
import org.opensearch.core.xcontent.XContentParser.Token;
import org.opensearch.index.query.QueryRewriteContext;
import org.opensearch.index.query.QueryShardContext;
import org.opensearch.search.rescore.RescoreContext;
import org.opensearch.search.rescore.RescorerBuilder;
import osmv.codecs.Codebook;
import osmv.maxsim.QueryVectors;

/**
 * The rescorer {@code maxsim}:
 *
 * <pre>
 * "rescore": {"window_size": 1000,
 *             "maxsim": {"field": "mv.vectors", "query_vectors": ..., "weights": ..., "score": ..., "codebook": ...,
 *                        "first": {"field": "mv.bits", "keep": 100}}}
 * </pre>
 *
 * <p>{@code first} is a cheap pass over the whole window, say over bits, after which only the best {@code keep} are scored.
 */
public final class MaxSimRescorerBuilder extends RescorerBuilder<MaxSimRescorerBuilder> {
    public static final String NAME = "maxsim";

    private final String field;
    private final QueryVectors query;
    private final NamedCodebook codebook;
    private final First first;
    private final Searches searches;

    /** The pass before, and how many documents it leaves. */
    record First(String field, int keep) {}

    MaxSimRescorerBuilder(String field, QueryVectors query, First first, Searches searches) {
        this(field, query, NamedCodebook.NONE, first, searches);
    }

    MaxSimRescorerBuilder(String field, QueryVectors query, NamedCodebook codebook, First first, Searches searches) {
        this.field = field;
        this.query = query;
        this.codebook = codebook;
        this.first = first;
        this.searches = searches;
    }

    public MaxSimRescorerBuilder(StreamInput in, Searches searches) throws IOException {
        super(in);
        field = in.readString();
        query = QueryContent.read(in);
        codebook = NamedCodebook.read(in);
        first = in.readBoolean() ? new First(in.readString(), in.readVInt()) : null;
        this.searches = searches;
    }

    @Override
    protected void doWriteTo(StreamOutput out) throws IOException {
        out.writeString(field);
        QueryContent.write(out, query);
        codebook.write(out);
        out.writeBoolean(first != null);
        if (first != null) {
            out.writeString(first.field);
            out.writeVInt(first.keep);
        }
    }

    public static MaxSimRescorerBuilder parse(XContentParser parser, Searches searches) throws IOException {
        QueryContent content = new QueryContent(searches.maxQueryVectors());
        First first = null;
        while (parser.nextToken() != Token.END_OBJECT) {
            String key = parser.currentName();
            parser.nextToken();
            if (content.read(key, parser)) {
                continue;
            }
            if (!key.equals("first")) {
                throw QueryContent.unknown(key, parser);
            }
            first = first(parser);
        }
        String field = content.field(parser);
        return new MaxSimRescorerBuilder(field, content.query(parser), content.codebook(), first, searches);
    }

    private static First first(XContentParser parser) throws IOException {
        QueryContent.expect(Token.START_OBJECT, "an object of [field] and [keep]", "first", parser);
        String field = null;
        Double keep = null;
        while (parser.nextToken() != Token.END_OBJECT) {
            String key = parser.currentName();
            parser.nextToken();
            switch (key) {
                case "field" -> field = QueryContent.string("first.field", parser);
                case "keep" -> keep = QueryContent.number("first.keep", parser);
                default -> throw QueryContent.unknown("first." + key, parser);
            }
        }
        QueryContent.required("first.field", field, parser);
        if (QueryContent.required("first.keep", keep, parser) < 1 || keep != Math.rint(keep) || keep > Integer.MAX_VALUE) {
            String sentence = "[maxsim] [first.keep] is " + keep + ": it must be a whole number from 1 on";
            throw new ParsingException(parser.getTokenLocation(), sentence);
        }
        return new First(field, keep.intValue());
    }

    @Override
    protected void doXContent(XContentBuilder builder, Params params) throws IOException {
        builder.startObject(NAME);
        QueryContent.toXContent(builder, field, query, codebook);
        if (first != null) {
            builder.startObject("first").field("field", first.field).field("keep", first.keep).endObject();
        }
        builder.endObject();
    }

    @Override
    public RescorerBuilder<MaxSimRescorerBuilder> rewrite(QueryRewriteContext context) {
        NamedCodebook asked = codebook.rewrite(context, searches.codebooks());
        if (asked == codebook) {
            return this;
        }
        MaxSimRescorerBuilder rewritten = new MaxSimRescorerBuilder(field, query, asked, first, searches);
        rewritten.windowSize = windowSize;
        return rewritten;
    }

    @Override
    protected RescoreContext innerBuildContext(int windowSize, QueryShardContext context) {
        if (windowSize > searches.maxWindowSize()) {
            throw new IllegalArgumentException(
                "[maxsim] window_size is " + windowSize + ", the most that [" + Searches.MAX_WINDOW_SIZE.getKey() + "] allows is "
                    + searches.maxWindowSize()
            );
        }
        First resolved = first == null ? null : new First(QueryContent.resolve(first.field, context), first.keep);
        String name = QueryContent.resolve(field, context);
        Codebook loaded = codebook.get(searches.codebooks());
        return new MaxSimRescorer.Context(windowSize, name, query, loaded, resolved, searches);
    }

    @Override
    public boolean equals(Object other) {
        return super.equals(other) && other instanceof MaxSimRescorerBuilder builder && field.equals(builder.field)
            && query.equals(builder.query) && codebook.equals(builder.codebook) && Objects.equals(first, builder.first);
    }

    @Override
    public int hashCode() {
        return Objects.hash(super.hashCode(), field, query, codebook, first);
    }

    @Override
    public String getWriteableName() {
        return NAME;
    }
}
