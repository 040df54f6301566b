import Wire

extension MACFrameView {
  /// Parses a frame as a radio or a capture delivered it: verifies the FCS if there is one, and knows from the metadata whether
  /// the payload is in the clear.
  ///
  /// Throws ``DropReason/macFCSMismatch``, with the place of the FCS, and what ``init(_:fcsPresent:alreadyDecrypted:)`` throws.
  @inlinable
  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan, metadata: FrameMetadata) throws(ParseError) {
    try self.init(bytes, fcsPresent: metadata.fcsPresent, alreadyDecrypted: metadata.alreadyDecrypted)
    if metadata.fcsPresent, !FCS.isValid(bytes) {
      throw ParseError(.macFCSMismatch, at: bytes.byteCount - FCS.length)
    }
  }
}
