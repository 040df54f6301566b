import CoAP
import Envelope
import Node
import TestSupport
import Testing
import Wire

/// A camera: the key first, then chunks, each when the one before was answered.
@Suite struct CameraNodeTests {
  let household: Household

  init() throws { household = try Household() }

  private func desk(answers: @escaping (CoAPRequest) -> CoAPResponse?) throws -> Desk<CameraNode> {
    let configuration = household.configuration(.confidential)
    return Desk(CameraNode(EnvelopeNode(configuration: configuration)), answers: answers)
  }

  private let key = StreamKey(stream: 9, key: [UInt8](repeating: 3, count: 16), nonce: [UInt8](repeating: 4, count: 12))

  @Test("Viewers get the key sealed and the chunks in order, under the number of the envelope that opened the stream")
  func stream() throws {
    let desk = try desk { $0.code == .post ? CoAPResponse(.changed) : CoAPResponse(.content) }
    desk.perform { $0.send([0]) }
    #expect(desk.takeRequests().allSatisfy { $0.code == .get }, "nothing before the stream is open")
    desk.perform { $0.open(key, label: 5) }
    let opening = try #require(desk.takeRequests().first { $0.code == .post })
    let envelope = try SignedEnvelope(parsing: opening.payload)
    #expect(envelope.header.class == .confidential)
    let content = try envelope.open(with: household.owner)
    #expect(content.format == ContentFormats.streamKey)
    let opened = try StreamKey(parsing: content.bytes)
    for byte in 1...3 as ClosedRange<UInt8> { desk.perform { $0.send([byte]) } }
    let chunks = try desk.takeRequests().filter { $0.code == .post }.map { try SignedEnvelope(parsing: $0.payload) }
    #expect(try chunks.map { try opened.open($0).bytes } == [[1], [2], [3]])
    #expect(try chunks.map { try opened.open($0).number } == [0, 1, 2])
    #expect(chunks.allSatisfy { $0.header.sequence == envelope.header.sequence && $0.header.class == .stream })
    for chunk in chunks { try chunk.verify(with: household.node.public.signingKey) }
    let events = desk.takeEvents()
    #expect(events.contains(.reported(5)) && events.contains(.chunkTaken(2)))
  }

  @Test("What comes faster than it is answered is left out, oldest first, and seen as a gap")
  func gaps() throws {
    // The gateway answers the opening, and then nothing for a while.
    let desk = try desk { request in
      guard request.code == .post, let envelope = try? SignedEnvelope(parsing: request.payload) else {
        return CoAPResponse(.content)
      }
      return envelope.header.class == .stream ? nil : CoAPResponse(.changed)
    }
    desk.perform { $0.open(key, label: 1) }
    for byte in 0...9 as ClosedRange<UInt8> { desk.perform { $0.send([byte]) } }
    let lost = desk.takeEvents().compactMap { if case .chunkLost(let number) = $0 { number } else { nil } }
    // One is on its way, four wait.
    #expect(lost.count == 5)
  }
}
