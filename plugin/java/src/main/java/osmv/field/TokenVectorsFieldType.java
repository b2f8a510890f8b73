package osmv.field;

import java.io.IOException;
import java.time.ZoneId;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.search.Query;
import org.opensearch.index.fielddata.IndexFieldData;
import org.opensearch.index.fielddata.plain.BytesBinaryIndexFieldData;
import org.opensearch.index.mapper.DocValueFetcher;
import org.opensearch.index.mapper.MappedFieldType;
import org.opensearch.index.mapper.TextSearchInfo;
import org.opensearch.index.mapper.ValueFetcher;
import org.opensearch.index.query.QueryShardContext;
import org.opensearch.index.query.QueryShardException;
import org.opensearch.search.DocValueFormat;
import org.opensearch.search.aggregations.support.CoreValuesSourceType;
import org.opensearch.search.lookup.SearchLookup;
import org.opensearch.search.lookup.SourceLookup;

/** What searches can do with a {@code token_vectors} field: {@code maxsim}, {@code exists}, and read it back. */
public final class TokenVectorsFieldType extends MappedFieldType {
    public static final String TYPE = "token_vectors";

    final int dimension;

    TokenVectorsFieldType(String name, int dimension, Map<String, String> meta) {
        super(name, false, false, true, TextSearchInfo.NONE, meta);
        this.dimension = dimension;
    }

    @Override
    public String typeName() {
        return TYPE;
    }

    /** For {@code docvalue_fields}: one value, the document's vectors. */
    @Override
    public DocValueFormat docValueFormat(String format, ZoneId timeZone) {
        return VectorsFormat.named(format, VectorsFormat.BASE64, name());
    }

    /** For {@code fields}: as the document was sent, one value for each vector. */
    @Override
    public ValueFetcher valueFetcher(QueryShardContext context, SearchLookup lookup, String format) {
        VectorsFormat chosen = VectorsFormat.named(format, VectorsFormat.FLOATS, name());
        DocValueFetcher values = new DocValueFetcher(chosen, lookup.doc().getForField(this));
        return new ValueFetcher() {
            @Override
            public void setNextReader(LeafReaderContext leaf) {
                values.setNextReader(leaf);
            }

            @Override
            @SuppressWarnings("unchecked")
            public List<Object> fetchValues(SourceLookup source) throws IOException {
                List<Object> found = values.fetchValues(source);
                boolean flatten = found.isEmpty() == false && chosen == VectorsFormat.FLOATS;
                return flatten ? (List<Object>) found.get(0) : found;
            }
        };
    }

    @Override
    public IndexFieldData.Builder fielddataBuilder(String index, Supplier<SearchLookup> lookup) {
        return new BytesBinaryIndexFieldData.Builder(name(), CoreValuesSourceType.BYTES);
    }

    @Override
    public Query termQuery(Object value, QueryShardContext context) {
        throw new QueryShardException(context, "[" + name() + "] holds token vectors: search it with a maxsim query");
    }
}
