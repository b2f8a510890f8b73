package osmv.codecs;

/** Stored token vectors need a codebook and the request names none: an error of the request, not of a document. */
public final class CodebookMissing extends IllegalArgumentException {
    CodebookMissing(String codec) {
        super("token vectors of codec " + codec + " need the codebook that they were written with: name its id as [codebook]");
    }
}
