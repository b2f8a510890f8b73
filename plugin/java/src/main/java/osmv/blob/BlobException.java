package osmv.blob;

/** Stored bytes that are no whole, unaltered token vectors. The message says why; there is no stack trace to pay for. */
public final class BlobException extends Exception {
    public BlobException(String message) {
        super(message, null, false, false);
    }
}
