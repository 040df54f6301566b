import Wire

/// A frame as a view over its PSDU: the header, checked, and what follows it.
@frozen
public struct MACFrameView: ~Escapable {
  /// Octets of the largest PSDU of the classic PHYs (aMaxPhyPacketSize).
  @inlinable public static var maximumLength: Int { 127 }

  public let header: MACHeader
  /// Octets in front of ``payload``, the header's information elements included.
  public let headerLength: Int
  /// Whether ``payload`` begins with payload information elements (a Header Termination 1 element came).
  public let hasPayloadIEs: Bool
  @usableFromInline let _headerIEs: RawSpan
  @usableFromInline let _payload: RawSpan

  /// Header information elements, termination included; empty without any. See ``HeaderIEs``.
  @inlinable public var headerIEs: RawSpan {
    @_lifetime(copy self) get { _headerIEs }
  }

  /// What follows the header, without the FCS. Of a secured frame this includes the message integrity code.
  @inlinable public var payload: RawSpan {
    @_lifetime(copy self) get { _payload }
  }

  /// Parses the PSDU `bytes`. An FCS is cut off, not verified: see ``FCS``.
  ///
  /// Throws the reasons of ``MACHeader``, ``DropReason/macIEMalformed``, ``DropReason/macFrameTooLong`` beyond 2,047
  /// octets (the largest PSDU of any PHY) and ``DropReason/truncated``.
  @inlinable
  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan, fcsPresent: Bool) throws(ParseError) {
    let length = bytes.byteCount &- (fcsPresent ? FCS.length : 0)
    guard length >= 0 else { throw ParseError(.truncated) }
    guard bytes.byteCount <= 2047 else { throw ParseError(.macFrameTooLong) }
    var reader = ByteReader(bytes.extracting(first: length))
    let header = try MACHeader(parsing: &reader)
    self.header = header
    if header.control.hasInformationElements {
      let start = reader.offset
      var elements = HeaderIEs(reader.rest)
      let end = try elements.end()
      _headerIEs = try reader.bytes(end.length)
      hasPayloadIEs = end.payloadIEsFollow
      headerLength = start &+ end.length
    } else {
      headerLength = reader.offset
      hasPayloadIEs = false
      _headerIEs = reader.rest.extracting(first: 0)
    }
    _payload = reader.takeRest()
  }
}

/// A frame that owns its bytes: what is built and sent.
public struct MACFrame: Hashable, Sendable {
  public var header: MACHeader
  /// Header information elements as they stand in the frame, termination included.
  public var headerIEs: [UInt8]
  /// What follows, without FCS; of a secured frame with its message integrity code.
  public var payload: [UInt8]

  public init(header: MACHeader, headerIEs: [UInt8] = [], payload: [UInt8] = []) {
    self.header = header
    self.headerIEs = headerIEs
    self.payload = payload
  }

  /// Copies a view.
  public init(_ view: borrowing MACFrameView) {
    header = view.header
    headerIEs = view.headerIEs.array()
    payload = view.payload.array()
  }

  /// Octets of the PSDU without FCS.
  public var encodedLength: Int { header.encodedLength + headerIEs.count + payload.count }

  /// The PSDU, with its FCS or without. ``EmitError/notRepresentable`` for header parts that do not fit together, and
  /// for information elements that the header does not announce.
  public func encoded(withFCS: Bool) throws(EmitError) -> [UInt8] {
    guard headerIEs.isEmpty || header.control.hasInformationElements else { throw .notRepresentable }
    var bytes = try withWriter(capacity: encodedLength) { (writer) throws(EmitError) in
      try header.emit(into: &writer)
      try writer.bytes(headerIEs)
      try writer.bytes(payload)
    }
    if withFCS {
      let fcs = FCS.compute(bytes.rawSpan)
      bytes.append(UInt8(truncatingIfNeeded: fcs))
      bytes.append(UInt8(truncatingIfNeeded: fcs >> 8))
    }
    return bytes
  }
}
