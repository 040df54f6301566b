import Wire

/// Protection of frames by AES-CCM* (IEEE 802.15.4-2020, 9.2 and 9.3).
public enum FrameSecurity {
  /// The nonce (9.3.3.1): EUI-64 of the sender, frame counter, security level; first octets most significant.
  static func nonce(_ source: ExtendedAddress, counter: UInt32, level: SecurityLevel) -> [UInt8] {
    source.bytes + (0..<4).map { UInt8(truncatingIfNeeded: counter >> (24 - 8 * $0)) } + [level.rawValue]
  }

  /// Octets at the start of the MAC payload that stay readable (9.3.5, table 9-1 of 2015; 7.6.2.2 of 2006): the fields of a
  /// beacon in front of its payload, and up to 2006 the command identifier.
  static func openLength(_ header: MACHeader, _ payload: RawSpan) throws(ParseError) -> Int {
    switch header.control.type {
    case .beacon:
      // In 2015 everything behind the header is private, enhanced beacons have no such fields.
      guard header.control.version != .v2015 else { return 0 }
      let beacon = try Beacon(parsing: payload)
      return beacon.encodedLength - beacon.payload.count
    case .command: return header.control.version == .v2015 ? 0 : min(1, payload.byteCount)
    default: return 0
    }
  }

  /// Checks and decrypts the payload of a secured frame.
  ///
  /// - Parameters:
  ///   - frame: a secured frame.
  ///   - bytes: the same frame's PSDU.
  ///   - key: the key that ``KeyStore`` found for it.
  ///   - source: the EUI-64 of its sender, which the header may carry as a short address only.
  /// - Returns: the MAC payload in the clear, without its integrity code.
  /// - Throws: ``DropReason/macSecurityUnsupported`` for a frame without counter, with the ASN as nonce, or of level 0,
  ///   which protects nothing; ``DropReason/macSecurityLevelReserved`` for level 4 unless
  ///   ``LinkKey/acceptsUnauthenticated``; ``DropReason/truncated`` if there is no room for the code, and
  ///   ``DropReason/macAuthenticationFailed``. An ``MACFrameView/alreadyDecrypted`` frame is not for this function.
  public static func unsecure(
    _ frame: borrowing MACFrameView, bytes: RawSpan, key: LinkKey, source: ExtendedAddress
  ) throws(ParseError) -> [UInt8] {
    guard let security = frame.header.security, let counter = security.frameCounter, !security.hasASNInNonce,
      security.level != .none
    else { throw ParseError(.macSecurityUnsupported) }
    let level = security.level
    guard level != .enc || key.acceptsUnauthenticated else { throw ParseError(.macSecurityLevelReserved) }
    let payload = frame.payload
    let open = try openLength(frame.header, payload)
    let sealedLength = payload.byteCount - open - level.micLength
    guard sealedLength >= 0 else { throw ParseError(.truncated, at: bytes.byteCount) }
    let nonce = nonce(source, counter: counter, level: level)
    let clear = frame.headerLength + open
    let sealed = payload.extracting(open..<open + sealedLength)
    let mic = payload.extracting(open + sealedLength..<payload.byteCount).array()
    var associated = bytes.extracting(first: clear).array()
    let opened: [UInt8]?
    if !level.isEncrypted {
      associated += sealed.array()
      opened = CCMStar.open([], mic: mic, key: key.bytes, nonce: nonce, associated: associated).map { _ in
        sealed.array()
      }
    } else {
      opened = CCMStar.open(sealed.array(), mic: mic, key: key.bytes, nonce: nonce, associated: associated)
    }
    guard let opened else { throw ParseError(.macAuthenticationFailed, at: clear) }
    return payload.extracting(first: open).array() + opened
  }

  /// Protects a frame whose header has an auxiliary security header with a frame counter: the payload is replaced by the
  /// protected one with its integrity code. Counters must never repeat under one key.
  ///
  /// ``EmitError/notRepresentable`` without such a header, for level 0 and the last counter, which must never be used
  /// (9.2.2), and for level 4 unless ``LinkKey/acceptsUnauthenticated``.
  public static func secure(_ frame: MACFrame, key: LinkKey, source: ExtendedAddress) throws(EmitError)
    -> MACFrame
  {
    guard let security = frame.header.security, let counter = security.frameCounter, counter != .max,
      !security.hasASNInNonce, security.level != .none, security.level != .enc || key.acceptsUnauthenticated
    else { throw .notRepresentable }
    let level = security.level
    guard let open = try? openLength(frame.header, frame.payload.rawSpan) else { throw .notRepresentable }
    let clear = try MACFrame(
      header: frame.header, headerIEs: frame.headerIEs, payload: Array(frame.payload.prefix(open))
    ).encoded(withFCS: false)
    let message = Array(frame.payload.dropFirst(open))
    let nonce = nonce(source, counter: counter, level: level)
    let result =
      level.isEncrypted
      ? CCMStar.seal(message, micLength: level.micLength, key: key.bytes, nonce: nonce, associated: clear)
      : CCMStar.seal(
        [], micLength: level.micLength, key: key.bytes, nonce: nonce, associated: clear + message
      )
      .map { (message, $0.mic) }
    guard let (ciphertext, mic) = result else { throw .notRepresentable }
    var secured = frame
    secured.payload = Array(frame.payload.prefix(open)) + ciphertext + mic
    return secured
  }
}
