import Wire

/// What tells block-wise transfers apart (RFC 7959, 2.4 and 2.5; RFC 9175, 3.3): the peer, the method, and all options but
/// the block options and those that count for no cache key. Observe and If-None-Match are left out too: only the first
/// request has them (RFC 7959, 2.6 and 2.10).
struct OperationKey<Peer: Hashable & Sendable>: Hashable, Sendable {
  var peer: Peer
  var code: CoAPCode
  var options: [CoAPOption]

  init(_ request: CoAPRequest, peer: Peer) {
    self.peer = peer
    code = request.code
    options = request.options.filter { option in
      switch option.number {
      case .block1, .block2, .observe, .ifNoneMatch: false
      default: option.number.isCritical || !option.number.isNoCacheKey
      }
    }
  }
}

/// The server's half of block-wise transfers (RFC 7959): puts requests together, and cuts responses into blocks.
///
/// Requests are assembled atomically: an application sees a whole body or none. A large response is kept, so that all its
/// blocks are of one representation; every block carries the same ETag.
public struct BlockwiseServer<Peer: Hashable & Sendable>: Sendable {
  /// What is to become of a request.
  public enum Decision: Sendable, Hashable {
    /// It is whole. Answer with what ``respond(to:from:with:at:)`` makes of the response.
    case deliver(CoAPRequest)
    /// Answer with this; with a reason if it is a refusal.
    case answer(CoAPResponse, DropReason?)
  }

  private struct Assembly: Sendable {
    var key: OperationKey<Peer>
    /// The request of the first block, whose options are those of the whole; its payload is what there is of the body.
    var request: CoAPRequest
    var expires: Instant
  }

  private struct Representation: Sendable {
    var key: OperationKey<Peer>
    var response: CoAPResponse
    var expires: Instant
  }

  private let shared: SharedBlockwiseConfiguration
  public var configuration: BlockwiseConfiguration { shared.value }
  /// Changes when the peer of a reliable transport says what it can take.
  var carrier = BlockwiseCarrier.datagrams
  /// In order of last use.
  private var assemblies: [Assembly] = []
  /// In order of last use.
  private var representations: [Representation] = []

  public init(configuration: BlockwiseConfiguration = BlockwiseConfiguration()) {
    shared = SharedBlockwiseConfiguration(configuration)
  }

  init(_ shared: SharedBlockwiseConfiguration) { self.shared = shared }

  /// When to call ``timeout(at:)``; `nil` for never.
  public var nextTimeout: Instant? {
    // Both are in order of last use, and all live equally long.
    [assemblies.first?.expires, representations.first?.expires].compactMap { $0 }.min()
  }

  /// Request bodies under assembly, and large responses kept.
  public var openTransfers: (requests: Int, responses: Int) { (assemblies.count, representations.count) }

  /// Forgets transfers that were left unfinished.
  public mutating func timeout(at now: Instant) {
    assemblies.removeAll { $0.expires <= now }
    representations.removeAll { $0.expires <= now }
  }

  /// Takes a request as it came, block by block.
  public mutating func receive(_ request: CoAPRequest, from peer: Peer, at now: Instant) -> Decision {
    timeout(at: now)
    if request.block1?.isReserved == true && !carrier.takesBERT
      || request.block2?.isReserved == true && !carrier.isStream
    {
      return .answer(CoAPResponse(.badRequest), .reservedValue)
    }
    if let block = request.block1 { return assemble(request, block, from: peer, at: now) }
    guard request.payload.count <= configuration.maximumRequestBody else {
      return .answer(tooLarge(nil), .coapBlockTooLarge)
    }
    if let block = request.block2, block.number > 0 {
      let key = OperationKey(request, peer: peer)
      if let index = representations.firstIndex(where: { $0.key == key }) {
        var representation = representations.remove(at: index)
        representation.expires = now.advanced(by: configuration.lifetime)
        representations.append(representation)
        return .answer(slice(representation.response, for: request), nil)
      }
      // A GET may be answered anew; what another method did is gone with its response.
      guard request.code == .get else {
        return .answer(CoAPResponse(.requestEntityIncomplete), .coapBlockOutOfOrder)
      }
    }
    return .deliver(delivered(request))
  }

  /// The request as the application sees it.
  private func delivered(_ request: CoAPRequest) -> CoAPRequest {
    var request = request
    for number: CoAPOptionNumber in [.block1, .block2, .size1, .size2, .requestTag]
    where request.options.contains(number) {
      request.options.remove(number)
    }
    return request
  }

  // MARK: Requests (RFC 7959, 2.5)

  private mutating func assemble(
    _ request: CoAPRequest, _ block: CoAPBlock, from peer: Peer, at now: Instant
  ) -> Decision {
    let key = OperationKey(request, peer: peer)
    guard block.admits(request.payload.count) else {
      assemblies.removeAll { $0.key == key }
      return .answer(CoAPResponse(.badRequest), .lengthMismatch)
    }
    var whole = request
    if block.number == 0 {
      // A new transfer takes the place of an older one with the same key.
      assemblies.removeAll { $0.key == key }
      if let size = request.size1, Int(size) > configuration.maximumRequestBody {
        return .answer(tooLarge(block), .coapBlockTooLarge)
      }
    } else {
      guard let index = assemblies.firstIndex(where: { $0.key == key }) else { return incomplete(block) }
      whole = assemblies.remove(at: index).request
      if block.more, isRepetition(request, block, of: whole.payload) {
        return keep(whole, key, now, block)
      }
      guard block.offset == whole.payload.count else { return incomplete(block) }
      whole.payload += request.payload
    }
    guard whole.payload.count <= configuration.maximumRequestBody else {
      return .answer(tooLarge(block), .coapBlockTooLarge)
    }
    return block.more ? keep(whole, key, now, block) : .deliver(delivered(whole))
  }

  /// Whether the last block has come a second time, in a new message.
  private func isRepetition(_ request: CoAPRequest, _ block: CoAPBlock, of body: [UInt8]) -> Bool {
    block.offset + request.payload.count == body.count
      && body.suffix(request.payload.count) == request.payload[...]
  }

  /// Stores what there is of a request and asks for more.
  private mutating func keep(
    _ request: CoAPRequest, _ key: OperationKey<Peer>, _ now: Instant, _ block: CoAPBlock
  ) -> Decision {
    let own = assemblies.indices.filter { assemblies[$0].key.peer == key.peer }
    if own.count >= max(1, configuration.assembliesPerPeer), let oldest = own.first {
      assemblies.remove(at: oldest)
    }
    let bytes = assemblies.reduce(request.payload.count) { $0 + $1.request.payload.count }
    guard assemblies.count < configuration.assemblies, bytes <= configuration.assemblyBytes else {
      var busy = CoAPResponse(.serviceUnavailable)
      let wait = assemblies.first.map { now.duration(to: $0.expires).components.seconds + 1 } ?? 60
      busy.maxAge = UInt32(clamping: wait)
      return .answer(busy, .coapExchangeLimit)
    }
    assemblies.append(
      Assembly(key: key, request: request, expires: now.advanced(by: configuration.lifetime)))
    var response = CoAPResponse(.continue)
    response.block1 = CoAPBlock(number: block.number, more: true, szx: acceptedSZX(block))
    return .answer(response, nil)
  }

  /// The exponent of the further blocks of a request.
  private func acceptedSZX(_ block: CoAPBlock) -> UInt8 { min(block.szx, carrier.askedSZX(configuration)) }

  private func incomplete(_ block: CoAPBlock) -> Decision {
    var response = CoAPResponse(.requestEntityIncomplete)
    response.block1 = block
    return .answer(response, .coapBlockOutOfOrder)
  }

  private func tooLarge(_ block: CoAPBlock?) -> CoAPResponse {
    var response = CoAPResponse(.requestEntityTooLarge)
    response.block1 = block
    response.size1 = UInt32(clamping: configuration.maximumRequestBody)
    return response
  }

  // MARK: Responses (RFC 7959, 2.4)

  /// What to send of the complete `response` to a request that was delivered; `request` is as it came (its payload does not
  /// matter). 5.00 for a response that the peer of a reliable transport cannot take.
  public mutating func respond(
    to request: CoAPRequest, from peer: Peer, with response: CoAPResponse, at now: Instant
  ) -> CoAPResponse {
    if !representations.isEmpty {
      let key = OperationKey(request, peer: peer)
      representations.removeAll { $0.key == key }
    }
    var complete = response
    if let block = request.block1 {
      complete.block1 = CoAPBlock(number: block.number, more: false, szx: acceptedSZX(block))
    }
    guard let reach = carrier.reach(of: complete, configuration) else {
      return CoAPResponse(.internalServerError)
    }
    let isLarge =
      response.payload.count > (request.block2.map { reach.size(min($0.szx, reach.szx)) } ?? reach.whole)
    if isLarge, complete.eTag == nil { complete.eTag = Self.entityTag(of: complete) }
    let sent = slice(complete, for: request)
    if isLarge {
      // Block1 and Observe belong to this exchange alone.
      complete.block1 = nil
      complete.observe = nil
      store(complete, OperationKey(request, peer: peer), now)
    }
    return sent
  }

  private mutating func store(_ response: CoAPResponse, _ key: OperationKey<Peer>, _ now: Instant) {
    guard response.payload.count <= configuration.responseBytes, configuration.responses > 0 else { return }
    let own = representations.indices.filter { representations[$0].key.peer == key.peer }
    if own.count >= max(1, configuration.responsesPerPeer), let oldest = own.first {
      representations.remove(at: oldest)
    }
    var bytes = representations.reduce(response.payload.count) { $0 + $1.response.payload.count }
    while let first = representations.first,
      bytes > configuration.responseBytes || representations.count >= configuration.responses
    {
      bytes -= first.response.payload.count
      representations.removeFirst()
    }
    representations.append(
      Representation(key: key, response: response, expires: now.advanced(by: configuration.lifetime)))
  }

  /// The block of `response` that `request` asks for; all of it if it is small and no block was asked for.
  private func slice(_ response: CoAPResponse, for request: CoAPRequest) -> CoAPResponse {
    guard let reach = carrier.reach(of: response, configuration) else {
      return CoAPResponse(.internalServerError)
    }
    let asked = request.block2
    let szx = min(asked?.szx ?? reach.szx, reach.szx)
    let size = reach.size(szx)
    let total = response.payload.count
    if asked == nil ? total <= reach.whole : total <= size && (total == 0 || !response.code.isSuccess) {
      return response
    }
    // A client that asks in larger blocks than are served still gets the bytes that it asked for.
    let offset = asked?.offset ?? 0
    guard offset < total else { return CoAPResponse(.badRequest) }
    let end = min(offset + size, total)
    var part = response
    part.payload = Array(response.payload[offset..<end])
    let block = CoAPBlock(number: 0, more: end < total, szx: szx)
    part.block2 = CoAPBlock(number: offset / block.size, more: block.more, szx: szx)
    if offset == 0, end < total || request.size2 != nil { part.size2 = UInt32(clamping: total) }
    return part
  }

  /// An ETag made of the content (FNV-1a), so that a representation has the same one whenever it is made.
  private static func entityTag(of response: CoAPResponse) -> [UInt8] {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in [response.code.rawValue] + (response.options[value: .contentFormat] ?? []) + response.payload {
      hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3
    }
    let folded = UInt32(truncatingIfNeeded: hash ^ hash >> 32)
    return (0..<4).map { UInt8(truncatingIfNeeded: folded >> (24 - $0 * 8)) }
  }
}
