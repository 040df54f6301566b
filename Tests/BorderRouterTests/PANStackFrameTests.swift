import BorderRouter
import CoAP
import IEEE802154
import IPv6
import Testing
import Wire

/// Which frames the border router takes.
@Suite struct PANStackFrameTests {
  static let post = CoAPMessage(
    type: .nonConfirmable, code: .post, messageID: 1, token: CoAPToken(value: 5, count: 1),
    options: CoAPRequest(.post, path: ["e"]).options, payload: [1, 2, 3])

  @Test("A frame of its own, come back from a repeater or a forger, is dropped")
  func ownFrame() throws {
    let border = Border()
    for radio in [MACAddress.extended(Border.extended), .short(ShortAddress(1))] {
      var node = Node(1)
      node.radio = radio
      let packet = try Node(1).udp(Self.post.encoded(), to: border.linkLocal)
      let effects = try border.receive(node.frames(packet))
      #expect(effects.drops == [.macOwnFrame])
      #expect(effects.frames.isEmpty && effects.requests.isEmpty)
    }
  }

  @Test("Frames for other nodes are none of its business")
  func frameForOthers() throws {
    let border = Border()
    var node = Node(1)
    let packet = try node.udp(Self.post.encoded(), to: border.linkLocal)
    for destination in [MACAddress.extended(ExtendedAddress(7)), .short(ShortAddress(2)), .short(.unassigned)] {
      let effects = try border.receive(node.frames(packet, to: destination))
      #expect(effects.drops == [.macNotForUs])
      #expect(effects.frames.isEmpty && effects.requests.isEmpty)
    }
    let own: [MACAddress] = [.extended(Border.extended), .short(ShortAddress(1)), .short(.broadcast)]
    for (messageID, destination) in own.enumerated() {
      var message = Self.post
      message.messageID = UInt16(messageID)
      let packet = try node.udp(message.encoded(), to: border.linkLocal)
      #expect(try border.receive(node.frames(packet, to: destination)).requests.count == 1, "\(destination)")
    }
  }

  @Test("Frames of another PAN are dropped, and those to all PANs are not")
  func wrongPAN() throws {
    let border = Border()
    var node = Node(1)
    let packet = try node.udp(Self.post.encoded(), to: border.linkLocal)
    #expect(try border.receive(node.frames(packet, in: PANIdentifier(0xabce))).drops == [.macNotForUs])
    #expect(try border.receive(node.frames(packet, in: .broadcast)).requests.count == 1)
  }

  @Test("A frame received twice counts once")
  func duplicateFrame() throws {
    let border = Border()
    var node = Node(1)
    let frames = try node.frames(node.udp(Self.post.encoded(), to: border.linkLocal))
    #expect(border.receive(frames).requests.count == 1)
    let again = border.receive(frames)
    #expect(again.drops == [.macDuplicate])
    #expect(again.requests.isEmpty && again.frames.isEmpty)
    #expect(border.dropped(.macDuplicate) == 1)
  }

  @Test("A frame with a wrong FCS is dropped, and does not make the good one that follows a copy")
  func damagedFrame() throws {
    let border = Border()
    var node = Node(1)
    let packet = try node.udp(Self.post.encoded(), to: border.linkLocal)
    let good = try node.frame([0x41] + packet, withFCS: true)
    for place in [good.count - 1, 0] {
      var bad = good
      // The FCS itself, and the bit that says that more frames wait, which is not part of what makes a copy.
      bad[place] ^= 0x10
      #expect(border.receive(bad, fcsPresent: true).drops == [.macFCSMismatch])
    }
    #expect(border.receive(good, fcsPresent: true).requests.count == 1)
  }

  @Test("A frame that the driver has decrypted is taken as it is, though its integrity code is gone")
  func decryptedFrame() throws {
    let border = Border()
    let node = Node(1)
    let header = MACHeader(
      type: .data, sequenceNumber: 1, destinationPAN: Border.pan, destination: .extended(Border.extended),
      source: node.radio,
      security: AuxiliarySecurityHeader(level: .encMIC128, keyIdentifier: .implicit, frameCounter: 1),
      panIdentifierCompressed: true)
    let packet = try node.udp(Self.post.encoded(), to: border.linkLocal)
    var metadata = FrameMetadata(timestamp: border.now, fcsPresent: false, alreadyDecrypted: true)
    let whole = try MACFrame(header: header, payload: [0x41] + packet).encoded(withFCS: false)
    #expect(border.receive(CapturedFrame(bytes: whole, metadata: metadata)).requests.count == 1)
    // Shorter than the code would be.
    var next = header
    next.sequenceNumber = 2
    let short = try MACFrame(header: next, payload: [0x00, 1]).encoded(withFCS: false)
    #expect(border.receive(CapturedFrame(bytes: short, metadata: metadata)).drops == [.lowpanNotALowpanFrame])
    // Without that word of the driver's it takes a key.
    metadata.alreadyDecrypted = false
    next.sequenceNumber = 3
    let secured = try MACFrame(header: next, payload: [0x41] + packet).encoded(withFCS: false)
    let effects = border.receive(CapturedFrame(bytes: secured, metadata: metadata))
    #expect(effects.drops == [.macKeyUnknown])
    #expect(effects.requests.isEmpty)
  }

  @Test("A secured frame counts once: its counter has to rise (IEEE 802.15.4-2020, 9.2.6)")
  func replayedFrame() throws {
    let node = Node(1)
    let key = try #require(LinkKey([UInt8](repeating: 7, count: LinkKey.length)))
    var keys = KeyStore()
    keys.add(key, for: .index(1))
    let border = Border(keys: keys)
    func frame(counter: UInt32, messageID: UInt16) throws -> [UInt8] {
      let header = MACHeader(
        type: .data, sequenceNumber: UInt8(counter), destinationPAN: Border.pan,
        destination: .extended(Border.extended),
        source: node.radio,
        security: AuxiliarySecurityHeader(level: .encMIC32, keyIdentifier: .index(1), frameCounter: counter),
        panIdentifierCompressed: true)
      var message = Self.post
      message.messageID = messageID
      let payload = [0x41] + (try node.udp(message.encoded(), to: border.linkLocal))
      return try FrameSecurity.secure(
        MACFrame(header: header, payload: payload), key: key, source: ExtendedAddress(node.eui64)
      ).encoded(withFCS: false)
    }
    let first = try frame(counter: 5, messageID: 1)
    // A forgery does not use the counter up.
    var forged = try frame(counter: 100, messageID: 9)
    forged[forged.count - 1] ^= 1
    #expect(border.receive(forged).drops == [.macAuthenticationFailed])
    #expect(border.receive(first).requests.count == 1)
    // Long after it could be a retry of the MAC layer.
    border.now = border.now.advanced(by: .seconds(3_600))
    #expect(border.receive(first).drops == [.macReplay])
    #expect(try border.receive(frame(counter: 4, messageID: 2)).drops == [.macReplay])
    #expect(try border.receive(frame(counter: 6, messageID: 3)).requests.count == 1)
  }

  @Test("A fragmented request whose last fragment never comes times out")
  func fragmentTimeout() throws {
    let border = Border()
    var node = Node(1)
    var message = Self.post
    message.payload = [UInt8](repeating: 7, count: 300)
    let frames = try node.frames(node.udp(message.encoded(), to: border.linkLocal))
    #expect(frames.count > 2)
    #expect(border.receive(Array(frames.dropLast())).isNothing)
    border.now = border.now.advanced(by: .seconds(61))
    var other = Node(2)
    let effects = try border.receive(other.frames(other.udp(Self.post.encoded(), to: border.linkLocal)))
    #expect(effects.drops == [.fragmentTimeout])
    #expect(effects.requests.count == 1)
  }
}
