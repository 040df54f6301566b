import BorderRouter
import CoAP
import Envelope
import Wire

/// A node that streams: it gives its readers the key of a stream in a confidential envelope, and when the gateway has that,
/// posts sealed chunks, each when the one before was answered. What comes faster than it goes is left out: viewers see gaps.
public struct CameraNode: DeviceBehavior {
  private struct Stream: Sendable {
    var key: StreamKey
    /// The envelope that opens it.
    var label: UInt64
    var sequence: UInt64?
    var isOpen = false
    var next: UInt64 = 0
  }

  /// Signs, reports, and obeys.
  public private(set) var node: EnvelopeNode
  private var stream: Stream?
  private var waiting: [[UInt8]] = []
  private var current: (id: RequestID<PANPeer>, number: UInt64)?
  private var events: [DeviceEvent] = []
  /// Chunks that wait at most.
  private static let maximumWaiting = 4

  public init(_ node: EnvelopeNode) { self.node = node }

  public mutating func perform(_ body: (inout EnvelopeNode) -> Void) { body(&node) }

  /// Whether chunks are sent.
  public var isStreaming: Bool { stream?.isOpen ?? false }

  /// Opens a stream with a fresh key, in the place of the one before; `label` as in ``EnvelopeNode/report(_:label:)``.
  public mutating func open(_ key: StreamKey, label: UInt64) {
    guard let content = try? key.cbor() else { return }
    stream = Stream(key: key, label: label)
    waiting.removeAll()
    node.report(.init(format: ContentFormats.streamKey, bytes: content), label: label)
  }

  /// Sends a piece of it; an empty one ends the stream. Of too many that wait the oldest is lost.
  public mutating func send(_ bytes: [UInt8]) {
    guard isStreaming else { return }
    if waiting.count >= Self.maximumWaiting {
      waiting.removeFirst()
      // Its number is used up, so that viewers see the gap.
      if let number = stream?.next {
        stream?.next = number + 1
        events.append(.chunkLost(number))
      }
    }
    waiting.append(bytes)
  }

  // MARK: DeviceBehavior

  public var nextTimeout: Instant? { node.nextTimeout }

  public mutating func timeout(at now: Instant, stack: inout NodeStack) {
    node.timeout(at: now, stack: &stack)
    guard current == nil, let stream, stream.isOpen, let sequence = stream.sequence, let bytes = waiting.first else {
      return
    }
    let configuration = node.configuration
    guard
      let chunk = try? stream.key.chunk(
        stream.next, bytes, to: configuration.readers.map(\.address), from: configuration.identity, sequence: sequence,
        issuedAt: UInt64(max(0, now.seconds))),
      let id = stack.request(
        CoAPRequest(.post, path: ["e"], contentFormat: .coseSign1, payload: chunk.bytes),
        to: configuration.destination, now: now)
    else { return }
    current = (id, stream.next)
    self.stream?.next += 1
    waiting.removeFirst()
  }

  public mutating func handle(_ event: NodeEvent, stack: inout NodeStack, now: Instant) {
    switch event {
    case .response(let id, let response) where id == current?.id: finish(isTaken: response.code.isSuccess)
    case .failed(let id, _) where id == current?.id: finish(isTaken: false)
    default: node.handle(event, stack: &stack, now: now)
    }
  }

  private mutating func finish(isTaken: Bool) {
    guard let number = current?.number else { return }
    current = nil
    events.append(isTaken ? .chunkTaken(number) : .chunkLost(number))
  }

  public mutating func takeEvents() -> [DeviceEvent] {
    for event in node.takeEvents() {
      events.append(event)
      if case .reported(let label) = event, label == stream?.label {
        stream?.sequence = node.sequence(of: label)
        stream?.isOpen = true
      }
    }
    defer { events.removeAll() }
    return events
  }
}
