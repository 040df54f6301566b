import IEEE802154
import Testing
import Wire

/// Frames of three OpenThread nodes. The network key is OpenThread's default, 00112233445566778899aabbccddeeff; the MAC key of key
/// sequence n is the second half of HMAC-SHA256(network key, n in four octets || "Thread"), and its index is n + 1 (Thread 1.1, 7.1.4).
@Suite struct ThreadSecurityTests {
  let keys: KeyStore

  init() throws {
    var keys = KeyStore()
    for (index, key) in [
      (UInt8(1), "de89c53af382b421e0fde5a9bae3bef0"), (2, "9be0d1af7bd87350deabcdd07febb9d5"),
    ] {
      let octets = try #require([UInt8](hex: key))
      keys.add(try #require(LinkKey(octets)), for: .index(index))
    }
    self.keys = keys
  }

  /// The clear payload under the address in the frame, or under the first of the nodes that fits a short one.
  func unsecure(_ bytes: [UInt8], nodes: [ExtendedAddress]) throws -> (
    payload: [UInt8], source: ExtendedAddress
  )? {
    let view = try MACFrameView(bytes.rawSpan, fcsPresent: true)
    let security = try #require(view.header.security)
    let key = try keys.key(for: security.keyIdentifier)
    let candidates = if case .extended(let source) = view.header.source { [source] } else { nodes }
    for source in candidates {
      let frame = bytes.rawSpan.extracting(droppingLast: FCS.length)
      do throws(ParseError) {
        return (try FrameSecurity.unsecure(view, bytes: frame, key: key, source: source), source)
      } catch { #expect(error.reason == .macAuthenticationFailed) }
    }
    return nil
  }

  /// All extended addresses of the recording.
  func sources(_ frames: [[UInt8]]) throws -> [ExtendedAddress] {
    var sources: Set<ExtendedAddress> = []
    for bytes in frames {
      let header = try MACFrameView(bytes.rawSpan, fcsPresent: true).header
      for case .extended(let address) in [header.source, header.destination] { sources.insert(address) }
    }
    return sources.sorted()
  }

  @Test(
    "Secured frames open to the payload of the decrypted recording, and are sealed to the same bytes again")
  func recording() throws {
    let secured = try Recording("thread-sleepy-child.fcs.pcap").frames
    let clear = try Recording("thread-sleepy-child-decrypted.fcs.pcap").frames
    let nodes = try sources(secured)
    var opened = 0
    var compared = 0
    for (bytes, twin) in zip(secured, clear) {
      let view = try MACFrameView(bytes.rawSpan, fcsPresent: true)
      guard let security = view.header.security else { continue }
      let key = try keys.key(for: security.keyIdentifier)
      let (payload, source) = try #require(try unsecure(bytes, nodes: nodes))
      opened += 1
      // The twin of a frame without payload was left as it was.
      let twinView = try MACFrameView(twin.rawSpan, fcsPresent: true)
      if !twinView.header.control.isSecured {
        #expect(payload == twinView.payload.array())
        compared += 1
      }
      var frame = MACFrame(view)
      frame.payload = payload
      #expect(try FrameSecurity.secure(frame, key: key, source: source).encoded(withFCS: true) == bytes)
      // Any other nonce or any changed bit fails.
      var changed = bytes
      changed[2] ^= 1
      let altered = try MACFrameView(changed.rawSpan, fcsPresent: true)
      #expect(
        throws: ParseError(.macAuthenticationFailed, at: altered.headerLength + openOctets(view.header))
      ) {
        try FrameSecurity.unsecure(
          altered, bytes: changed.rawSpan.extracting(droppingLast: 2), key: key, source: source)
      }
    }
    #expect(compared == 207)
    #expect(opened == 227)
  }

  func openOctets(_ header: MACHeader) -> Int {
    header.control.type == .command && header.control.version != .v2015 ? 1 : 0
  }

  @Test("Frame counters of each node rise under each key, retransmissions apart") func counters() throws {
    let frames = try Recording("thread-sleepy-child.fcs.pcap").frames
    let nodes = try sources(frames)
    var replays = ReplayGuard()
    var last: [KeyIdentifier: [ExtendedAddress: UInt32]] = [:]
    var accepted = 0
    for bytes in frames {
      let header = try MACFrameView(bytes.rawSpan, fcsPresent: true).header
      guard let security = header.security, let counter = security.frameCounter else { continue }
      let source = try #require(try unsecure(bytes, nodes: nodes)?.source)
      let isOld = last[security.keyIdentifier]?[source].map { counter <= $0 } ?? false
      do throws(ParseError) {
        try replays.accept(counter, from: source, key: security.keyIdentifier)
        #expect(!isOld)
        accepted += 1
      } catch {
        #expect(error.reason == .macReplay)
        #expect(isOld)
      }
      if !isOld { last[security.keyIdentifier, default: [:]][source] = counter }
    }
    #expect(accepted > 150)
  }

  @Test("802.15.4-2020 7.4.2.3: the CSL elements of data requests and enhanced acknowledgments") func csl()
    throws
  {
    var periods: [UInt16] = []
    for bytes in try Recording("thread-sleepy-child.fcs.pcap").frames {
      let view = try MACFrameView(bytes.rawSpan, fcsPresent: true)
      var elements = HeaderIEs(view.headerIEs)
      while let element = try elements.next() {
        guard element.identifier == CSLElement.identifier else { continue }
        let csl = try CSLElement(parsing: element.content)
        #expect(try csl.encoded() == element.content.array())
        periods.append(csl.period)
      }
    }
    #expect(periods.count > 10)
    // 500 ms in units of 160 µs.
    #expect(Set(periods).contains(3125))
  }

  @Test("Enhanced acknowledgments answer the frame before") func acknowledgments() throws {
    var previous: MACHeader?
    var immediate = 0
    var enhanced = 0
    for bytes in try Recording("thread-sleepy-child.fcs.pcap").frames {
      let header = try MACFrameView(bytes.rawSpan, fcsPresent: true).header
      defer { previous = header }
      guard header.control.type == .acknowledgment, let asked = previous,
        asked.sequenceNumber == header.sequenceNumber
      else { continue }
      let answer = try #require(
        asked.acknowledgment(
          framePending: header.control.isFramePending, security: header.security,
          hasInformationElements: header.control.hasInformationElements))
      let isEnhanced = header.control.version == .v2015
      // OpenThread's immediate acknowledgments carry the version of what they answer; the standard has 2003 there.
      #expect(isEnhanced ? answer == header : answer.sequenceNumber == header.sequenceNumber)
      #expect(answer.control.version == (isEnhanced ? .v2015 : .v2003))
      if isEnhanced { enhanced += 1 } else { immediate += 1 }
    }
    #expect(immediate > 100)
    #expect(enhanced > 10)
  }
}
