import Wire

/// How much of a body one message may hold.
struct BlockwiseReach: Sendable {
  /// A body of up to this many bytes goes without block options.
  var whole: Int
  /// The exponent of the largest blocks: 0 to 6, or 7 for BERT.
  var szx: UInt8
  /// Bytes of a full BERT block: a multiple of 1,024.
  var bertBytes = 1024

  /// Bytes of a full block with this exponent.
  func size(_ szx: UInt8) -> Int { szx == 7 ? bertBytes : 16 << Int(szx) }
}

/// What carries the messages of a block-wise transfer, and so how large they may be.
enum BlockwiseCarrier: Sendable, Hashable {
  /// UDP: the block sizes bound the messages (RFC 7959).
  case datagrams
  /// A reliable transport: Max-Message-Size of the receiver bounds them, and blocks of several times 1,024 bytes may be
  /// allowed (RFC 8323, 6).
  case stream(own: CoAPCapabilities, peer: CoAPCapabilities)

  /// Bytes of a message besides options, payload marker and payload, at most: a header of 6 and a token of 8.
  private static var frameBytes: Int { 14 }
  /// Bytes that the options of block-wise transfer add, at most: Block1, Block2, Size1 or Size2, ETag.
  private static var optionBytes: Int { 32 }

  var isStream: Bool { self != .datagrams }

  /// Whether this end has said that it takes BERT blocks.
  var takesBERT: Bool {
    guard case .stream(let own, _) = self else { return false }
    return own.supportsBERT
  }

  /// The largest exponent that this end asks for.
  func askedSZX(_ configuration: BlockwiseConfiguration) -> UInt8 {
    takesBERT && configuration.szx == 6 ? 7 : configuration.szx
  }

  /// How much of its body a message to the peer may hold; `nil` if the peer cannot take such a body at all.
  func reach(of content: some CoAPContent, _ configuration: BlockwiseConfiguration) -> BlockwiseReach? {
    guard case .stream(_, let peer) = self else {
      return BlockwiseReach(whole: 16 << Int(configuration.szx), szx: configuration.szx)
    }
    // Without the payload.
    let room = Int(peer.maximumMessageSize) - Self.frameBytes - 1 - content.options.encodedLength
    let inBlocks = room - Self.optionBytes
    guard peer.supportsBlockwise, inBlocks >= 16 else {
      return content.payload.count <= room ? BlockwiseReach(whole: room, szx: 0) : nil
    }
    let szx = min(configuration.szx, CoAPBlock.szx(forBytes: inBlocks))
    guard peer.supportsBERT, szx == 6 else { return BlockwiseReach(whole: room, szx: szx) }
    return BlockwiseReach(whole: room, szx: 7, bertBytes: max(1024, inBlocks / 1024 * 1024))
  }
}
