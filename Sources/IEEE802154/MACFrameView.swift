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
  /// As it was given: see ``FrameMetadata/alreadyDecrypted``.
  public let alreadyDecrypted: Bool
  @usableFromInline let _headerIEs: RawSpan
  @usableFromInline let _payload: RawSpan

  /// Header information elements, termination included; empty without any. See ``HeaderIEs``.
  @inlinable public var headerIEs: RawSpan {
    @_lifetime(copy self) get { _headerIEs }
  }

  /// What follows the header, without the FCS. Unless ``isPayloadClear``, the message integrity code is at its end and
  /// ``FrameSecurity`` makes the clear payload of it.
  @inlinable public var payload: RawSpan {
    @_lifetime(copy self) get { _payload }
  }

  /// Whether ``payload`` is what the sender's next layer handed down: the frame is not secured, or was decrypted before it came
  /// here.
  @inlinable public var isPayloadClear: Bool { alreadyDecrypted || header.security == nil }

  /// Parses the PSDU `bytes`. An FCS is cut off, not verified: see ``FCS``.
  ///
  /// The header's information elements end at a termination, or with the frame, in front of its message integrity code if
  /// it has one (7.4.1): `alreadyDecrypted` says that a secured frame has none any more.
  ///
  /// Throws the reasons of ``MACHeader``, ``DropReason/macIEMalformed``, ``DropReason/macFrameTooLong`` beyond 2,047
  /// octets (the largest PSDU of any PHY) and ``DropReason/truncated``.
  @inlinable
  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan, fcsPresent: Bool, alreadyDecrypted: Bool = false) throws(ParseError) {
    let length = bytes.byteCount &- (fcsPresent ? FCS.length : 0)
    guard length >= 0 else { throw ParseError(.truncated) }
    guard bytes.byteCount <= 2047 else { throw ParseError(.macFrameTooLong) }
    var reader = ByteReader(bytes.extracting(first: length))
    let header = try MACHeader(parsing: &reader)
    self.header = header
    self.alreadyDecrypted = alreadyDecrypted
    if header.control.hasInformationElements {
      let start = reader.offset
      let mic = alreadyDecrypted ? 0 : header.security?.level.micLength ?? 0
      var elements = HeaderIEs(ByteReader(try reader.front(reader.remaining &- mic), offset: start))
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

extension ByteReader {
  /// The next `count` bytes, not consumed; ``DropReason/truncated`` if there are fewer or `count` is negative.
  @inlinable
  @_lifetime(copy self)
  func front(_ count: Int) throws(ParseError) -> RawSpan {
    guard count >= 0, count <= remaining else { throw error(.truncated) }
    return rest.extracting(first: count)
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

  /// Whether a reader finds the end of the header's information elements where it is.
  private var isDelimited: Bool {
    guard header.control.hasInformationElements else { return headerIEs.isEmpty }
    var elements = HeaderIEs(headerIEs.rawSpan)
    guard let length = try? elements.end().length, length == headerIEs.count else { return false }
    return elements.ended || payload.isEmpty || payload.count == header.security?.level.micLength
  }

  /// The PSDU, with its FCS or without. ``EmitError/notRepresentable`` for header parts that do not fit together, for
  /// information elements that the header does not announce, that are malformed, or that want a termination because a
  /// payload follows.
  public func encoded(withFCS: Bool) throws(EmitError) -> [UInt8] {
    guard isDelimited else { throw .notRepresentable }
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
