import Wire

/// The client's half of one block-wise operation (RFC 7959): sends a body in blocks, collects the response's.
///
/// Works over any transport: give each of its requests to the exchange layer and its response back. An operation whose
/// bodies are small is one request and one response.
public struct BlockwiseTransfer: Sendable {
  /// What comes next.
  public enum Step: Sendable, Hashable {
    case send(CoAPRequest)
    case complete(CoAPResponse)
    case fail(DropReason)
  }

  private enum Phase: Sendable {
    /// Sends the body from `offset`; `length` bytes are in flight.
    case sending(offset: Int, length: Int)
    /// Collects the response; what there is of it.
    case collecting(CoAPResponse)
  }

  /// Restarts allowed when the representation changes under the transfer, or smaller blocks are wanted.
  private static var maximumRestarts: Int { 3 }

  private let request: CoAPRequest
  private let negotiatesEarly: Bool
  private let maximumResponseBody: Int
  /// Whether the exponent 7 has a meaning: it has over reliable transports.
  private let allowsBERT: Bool
  private var reach: BlockwiseReach
  private var phase = Phase.sending(offset: 0, length: 0)
  /// The exponent of the request's blocks.
  private var szx: UInt8
  /// The exponent of the response's blocks, once known.
  private var responseSZX: UInt8
  private var restarts = 0

  /// `request` is whole, without block options. `requestTag` sets this operation apart from others to the same resource
  /// (RFC 9175, 3.5.2).
  public init(
    _ request: CoAPRequest, requestTag: [UInt8]? = nil,
    configuration: BlockwiseConfiguration = BlockwiseConfiguration()
  ) {
    var request = request
    if let requestTag { request.requestTag = requestTag }
    let reach = BlockwiseReach(whole: 16 << Int(configuration.szx), szx: configuration.szx)
    self.init(request, over: .datagrams, reach: reach, configuration: configuration)
  }

  /// `request` has its Request-Tag if it needs one; `reach` is how much of its body one message may hold.
  init(
    _ request: CoAPRequest, over carrier: BlockwiseCarrier, reach: BlockwiseReach,
    configuration: BlockwiseConfiguration
  ) {
    self.request = request
    self.reach = reach
    negotiatesEarly = configuration.negotiatesEarly
    maximumResponseBody = configuration.maximumResponseBody
    allowsBERT = carrier.isStream
    szx = reach.szx
    responseSZX = carrier.askedSZX(configuration)
  }

  /// Whether the request's body is sent in blocks.
  public var sendsBlocks: Bool { request.payload.count > reach.whole }

  /// The Request-Tag of all its requests.
  public var requestTag: [UInt8]? { request.requestTag }

  /// The first request to send.
  public mutating func start() -> Step { sendBlock(from: 0) }

  private mutating func sendBlock(from offset: Int) -> Step {
    var part = request
    let total = request.payload.count
    let end = sendsBlocks ? min(offset + reach.size(szx), total) : total
    if sendsBlocks {
      let unit = Self.unit(szx)
      guard (total - 1) / unit <= 0xf_ffff else { return .fail(.coapBlockTooLarge) }
      part.payload = Array(request.payload[offset..<end])
      part.block1 = CoAPBlock(number: offset / unit, more: end < total, szx: szx)
      if offset == 0 { part.size1 = UInt32(clamping: total) }
      // Works with the first block only (RFC 7959, 2.10).
      if offset > 0 { part.options.remove(.ifNoneMatch) }
    }
    if end == total, negotiatesEarly {
      part.block2 = CoAPBlock(number: 0, more: false, szx: responseSZX)
    }
    phase = .sending(offset: offset, length: end - offset)
    return .send(part)
  }

  /// Bytes in which the numbers of blocks with this exponent count.
  private static func unit(_ szx: UInt8) -> Int { CoAPBlock(number: 0, more: false, szx: szx).size }

  /// Takes the response to the request in flight.
  public mutating func receive(_ response: CoAPResponse) -> Step {
    switch phase {
    case .sending(let offset, let length): receiveControl(response, offset: offset, length: length)
    case .collecting(let collected): collect(response, behind: collected)
    }
  }

  /// The response to a block of the request's body.
  private mutating func receiveControl(_ response: CoAPResponse, offset: Int, length: Int) -> Step {
    if response.code == .requestEntityTooLarge, let block = response.block1,
      block.szx < szx || block.szx == szx && !sendsBlocks, request.payload.count > reach.size(block.szx)
    {
      // A hint to try blocks, or smaller ones (2.9.3).
      reach.whole = min(reach.whole, reach.size(block.szx))
      return restart(szx: block.szx)
    }
    let isLast = offset + length == request.payload.count
    // A server without memory acts on every block and says so with a final code; the others must follow all the same (2.3).
    if response.code == .continue || !isLast && response.code.isSuccess {
      guard !isLast, let block = response.block1, allowsBERT || !block.isReserved,
        block.number == offset / Self.unit(szx) || block.offset == offset
      else { return .fail(.coapBlockOutOfOrder) }
      szx = min(szx, block.szx)
      return sendBlock(from: offset + length)
    }
    return collect(response, behind: nil)
  }

  private mutating func restart(szx: UInt8) -> Step {
    restarts += 1
    guard restarts <= Self.maximumRestarts else { return .fail(.coapBlockOutOfOrder) }
    self.szx = szx
    return sendBlock(from: 0)
  }

  /// The response, or a block of it (2.4).
  private mutating func collect(_ response: CoAPResponse, behind collected: CoAPResponse?) -> Step {
    guard let block = response.block2 else {
      // Either whole, or an error in the midst of a transfer. A further block without a number cannot be placed.
      if collected != nil, response.code.isSuccess { return .fail(.coapBlockOutOfOrder) }
      return .complete(whole(response))
    }
    var complete = collected ?? response
    if let collected {
      guard response.code == collected.code else {
        return response.code.isSuccess ? .fail(.coapBlockOutOfOrder) : .complete(whole(response))
      }
      guard response.eTag == collected.eTag, response.contentFormat == collected.contentFormat else {
        // Another representation. A GET can start over; what another method did must not be done again.
        return request.code == .get ? restart(szx: szx) : .fail(.coapBlockOutOfOrder)
      }
    } else {
      complete.payload = []
    }
    guard allowsBERT || !block.isReserved, block.offset == complete.payload.count,
      block.admits(response.payload.count)
    else { return .fail(.coapBlockOutOfOrder) }
    complete.payload += response.payload
    guard complete.payload.count <= maximumResponseBody else {
      return .fail(.coapBlockTooLarge)
    }
    guard block.more else { return .complete(whole(complete)) }
    responseSZX = min(responseSZX, block.szx)
    return askForBlock(behind: complete)
  }

  private mutating func askForBlock(behind complete: CoAPResponse) -> Step {
    let number = complete.payload.count / Self.unit(responseSZX)
    guard number <= 0xf_ffff else { return .fail(.coapBlockTooLarge) }
    var next = request
    next.payload = []
    next.observe = nil
    next.options.remove(.ifNoneMatch)
    next.block2 = CoAPBlock(number: number, more: false, szx: responseSZX)
    phase = .collecting(complete)
    return .send(next)
  }

  /// The response as the application sees it.
  private func whole(_ response: CoAPResponse) -> CoAPResponse {
    var response = response
    for number: CoAPOptionNumber in [.block1, .block2, .size2] where response.options.contains(number) {
      response.options.remove(number)
    }
    return response
  }
}
