package osmv.query;

import java.io.IOException;
import java.util.Objects;
import org.apache.lucene.search.MatchNoDocsQuery;
import org.apache.lucene.search.Query;
import org.opensearch.core.common.ParsingException;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.xcontent.XContentBuilder;
import org.opensearch.core.xcontent.XContentParser;
import org.opensearch.core.xcontent.XContentParser.Token;
import org.opensearch.index.query.AbstractQueryBuilder;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.index.query.QueryRewriteContext;
import org.opensearch.index.query.QueryShardContext;
import osmv.maxsim.QueryVectors;

/**
 * The query {@code maxsim}:
 *
 * <pre>
 * {"maxsim": {"field": "mv.vectors", "query_vectors": [[...], ...] or base64, "weights": [...], "score": "sum_max" or "max",
 *             "codebook": "0123456789abcdef", "min_score": 12.5}}
 * </pre>
 *
 * <p>{@code min_score} is of the raw score, which has the sign and size of the similarities; the score itself never is below 0.
 */
public final class MaxSimQueryBuilder extends AbstractQueryBuilder<MaxSimQueryBuilder> {
    public static final String NAME = "maxsim";

    private final String field;
    private final QueryVectors query;
    private final NamedCodebook codebook;
    private final Double minScore;
    private final Searches searches;

    public MaxSimQueryBuilder(String field, QueryVectors query, Double minScore, Searches searches) {
        this(field, query, NamedCodebook.NONE, minScore, searches);
    }

    MaxSimQueryBuilder(String field, QueryVectors query, NamedCodebook codebook, Double minScore, Searches searches) {
        this.field = Objects.requireNonNull(field);
        this.query = query;
        this.codebook = codebook;
        this.minScore = minScore;
        this.searches = searches;
    }

    public MaxSimQueryBuilder(StreamInput in, Searches searches) throws IOException {
        super(in);
        field = in.readString();
        query = QueryContent.read(in);
        codebook = NamedCodebook.read(in);
        minScore = in.readOptionalDouble();
        this.searches = searches;
    }

    @Override
    protected void doWriteTo(StreamOutput out) throws IOException {
        out.writeString(field);
        QueryContent.write(out, query);
        codebook.write(out);
        out.writeOptionalDouble(minScore);
    }

    public static MaxSimQueryBuilder parse(XContentParser parser, Searches searches) throws IOException {
        QueryContent content = new QueryContent(searches.maxQueryVectors());
        Double minScore = null;
        float boost = DEFAULT_BOOST;
        String queryName = null;
        while (parser.nextToken() != Token.END_OBJECT) {
            String key = parser.currentName();
            parser.nextToken();
            if (content.read(key, parser)) {
                continue;
            }
            switch (key) {
                case "min_score" -> minScore = QueryContent.number(key, parser);
                case "boost" -> boost = (float) QueryContent.number(key, parser);
                case "_name" -> queryName = QueryContent.string(key, parser);
                default -> throw QueryContent.unknown(key, parser);
            }
        }
        if (boost < 0) {
            throw new ParsingException(parser.getTokenLocation(), "[maxsim] [boost] is " + boost + ": it must not be negative");
        }
        String field = content.field(parser);
        QueryVectors query = content.query(parser);
        return new MaxSimQueryBuilder(field, query, content.codebook(), minScore, searches).boost(boost).queryName(queryName);
    }

    @Override
    protected void doXContent(XContentBuilder builder, Params params) throws IOException {
        builder.startObject(NAME);
        QueryContent.toXContent(builder, field, query, codebook);
        if (minScore != null) {
            builder.field("min_score", minScore);
        }
        printBoostAndQueryName(builder);
        builder.endObject();
    }

    @Override
    protected QueryBuilder doRewrite(QueryRewriteContext context) {
        NamedCodebook asked = codebook.rewrite(context, searches.codebooks());
        return asked == codebook ? this : new MaxSimQueryBuilder(field, query, asked, minScore, searches);
    }

    @Override
    protected Query doToQuery(QueryShardContext context) {
        String name = QueryContent.resolve(field, context);
        if (name == null) {
            return new MatchNoDocsQuery("no field [" + field + "] in the mapping");
        }
        return new MaxSimQuery(name, query, codebook.get(searches.codebooks()), minScore, searches);
    }

    @Override
    protected boolean doEquals(MaxSimQueryBuilder other) {
        return field.equals(other.field) && query.equals(other.query) && codebook.equals(other.codebook)
            && Objects.equals(minScore, other.minScore);
    }

    @Override
    protected int doHashCode() {
        return Objects.hash(field, query, codebook, minScore);
    }

    @Override
    public String getWriteableName() {
        return NAME;
    }
}
