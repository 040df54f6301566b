import CoAP
import TestSupport
import Testing
import Wire

private let large = CoAPCapabilities(maximumMessageSize: 100_000, supportsBlockwise: true)

private func open(_ change: (inout CoAPStreamConfiguration) -> Void = { _ in }) throws -> Stream {
  var end = connection(1, change)
  try end.open(large)
  _ = end.takeOutputs()
  return end
}

private func get(_ token: UInt64) -> CoAPStreamMessage {
  CoAPStreamMessage(code: .get, token: CoAPToken(value: token, count: 1))
}

@Suite struct StreamSignallingTests {
  @Test("RFC 8323 section 5.4: a ping is answered with a pong of the same token") func pong() throws {
    var end = try open()
    for token in [CoAPToken(), CoAPToken(value: 0x42, count: 1), CoAPToken(value: .max, count: 8)] {
      for custody in [false, true] {
        let outputs = try end.take(.ping(custody: custody), token: token)
        let pong = try end.messages(outputs)
        #expect(pong == [CoAPSignal.pong(custody: custody).message(token: token)])
      }
    }
    #expect(try end.take(.pong(custody: true), token: CoAPToken(value: 1, count: 1)).isEmpty)
    #expect(
      try end.take(CoAPStreamMessage(code: CoAPCode(class: 7, detail: 31))).map(\.kind) == ["dropped coapSignalUnknown"]
    )
    #expect(try end.take(CoAPStreamMessage(code: .empty)).isEmpty && end.isReady)
  }

  @Test("RFC 8323 section 5.4.1: a pong with custody waits until all before the ping is answered") func custody() throws
  {
    var end = try open()
    let first = try #require(try end.take(get(1)).first?.exchange).id
    let second = try #require(try end.take(get(2)).first?.exchange).id
    #expect(try end.take(.ping(custody: true), token: CoAPToken(value: 9, count: 1)).isEmpty)
    let third = try #require(try end.take(get(3)).first?.exchange).id
    #expect(try end.take(.ping(custody: true), token: CoAPToken(value: 8, count: 1)).isEmpty)
    // One without custody does not wait.
    #expect(try end.messages(try end.take(.ping(custody: false))).map(\.code) == [.pong])
    var codes: [[CoAPCode]] = []
    for id in [third, second, first] {
      end.respond(to: id, with: CoAPResponse(.content), at: .start)
      codes.append(try end.sent().map(\.code))
    }
    #expect(codes == [[.content], [.content], [.content, .pong, .pong]])
    // More pings than are kept are answered without.
    _ = try end.take(get(4))
    let pongs = try (0..<20).flatMap { _ in try end.messages(try end.take(.ping(custody: true))) }
    #expect(try pongs.map { try CoAPSignal(parsing: $0) } == [CoAPSignal](repeating: .pong(custody: false), count: 12))
  }

  @Test("A peer that is silent is pinged, and left if it stays so") func idle() throws {
    var end = try open {
      $0.pingInterval = .seconds(120)
      $0.pongTimeout = .seconds(15)
    }
    #expect(end.nextTimeout == .after(120))
    _ = try end.take(CoAPStreamMessage(code: .empty), at: .after(50))
    #expect(end.nextTimeout == .after(170))
    end.noteTraffic(at: .after(60))
    end.timeout(at: .after(170))
    #expect(end.takeOutputs().isEmpty && end.nextTimeout == .after(180))
    end.timeout(at: .after(180))
    #expect(try end.sent().map(\.code) == [.ping] && end.nextTimeout == .after(195))
    #expect(try end.take(.pong(custody: false), at: .after(190)).isEmpty && end.nextTimeout == .after(310))
    // Anything shows that the peer is there.
    end.timeout(at: .after(310))
    #expect(try end.sent().map(\.code) == [.ping])
    end.noteTraffic(at: .after(320))
    #expect(end.nextTimeout == .after(440))
    // The application asks earlier, twice; the time runs from the first.
    end.ping(at: .after(330))
    end.ping(at: .after(340))
    #expect(try end.sent().map(\.code) == [.ping, .ping] && end.nextTimeout == .after(345))
    let id = end.request(CoAPRequest(.get), at: .after(341))
    _ = end.takeOutputs()
    end.timeout(at: .after(345))
    let outputs = end.takeOutputs()
    #expect(outputs.map(\.kind) == ["failed closed", "close coapPeerSilent"] && outputs[0].failure?.id == id)
    #expect(end.isClosed && end.nextTimeout == nil)
  }

  @Test("RFC 8323 section 5.5: after a Release the connection closes when nothing is outstanding") func release() throws
  {
    var pair = try StreamPair()
    let id = pair.ends[1].request(CoAPRequest(.get, path: ["pending"]), at: pair.now)
    let other = pair.ends[0].request(CoAPRequest(.get, path: ["other"]), at: pair.now)
    var waiting: [Stream.ExchangeID] = []
    let frames = [pair.ends[0].takeOutputs(), pair.ends[1].takeOutputs()].map { $0.compactMap(\.frame) }
    for end in [1, 0] {
      for frame in frames[1 - end] { pair.ends[end].receive(frame.rawSpan, at: pair.now) }
      waiting += pair.ends[end].takeOutputs().compactMap { $0.exchange?.id }
    }
    try #require(waiting.count == 2)
    pair.ends[0].release(alternatives: ["relay.example:5684"], holdOff: 30, at: pair.now)
    pair.ends[0].release(at: pair.now)
    try pair.run()
    guard case .released(["relay.example:5684"], 30)? = pair.events[1].first, pair.events[1].count == 1 else {
      Issue.record("\(pair.others(1))")
      return
    }
    // New requests fail on both ends; those under way go on.
    for end in 0...1 {
      _ = pair.ends[end].request(CoAPRequest(.get), at: pair.now)
      #expect(pair.ends[end].takeOutputs().map(\.kind) == ["failed closed"])
    }
    #expect(!pair.ends[1].isClosed)
    pair.ends[1].respond(to: waiting[0], with: CoAPResponse(.content), at: pair.now)
    try pair.run()
    #expect(pair.events[0].first?.response?.id == other && !pair.ends[1].isClosed)
    pair.ends[0].respond(to: waiting[1], with: CoAPResponse(.content), at: pair.now)
    try pair.run()
    #expect(pair.others(1) == ["released", "close"] && pair.events[1][1].response?.id == id)
    #expect(pair.ends[1].isClosed && !pair.ends[0].isClosed)
    // The transport says so to the other end.
    pair.ends[0].close(at: pair.now)
    #expect(pair.ends[0].takeOutputs().isEmpty)
  }

  @Test("An idle connection closes at once on a Release, and one whose peer does not close in the end")
  func releaseIdle() throws {
    var end = try open { $0.releaseTimeout = .seconds(20) }
    #expect(try end.take(.release(alternatives: [], holdOff: nil)).map(\.kind) == ["released", "close"])
    end = try open { $0.releaseTimeout = .seconds(20) }
    let id = end.request(CoAPRequest(.get), at: .after(9))
    end.release(at: .after(10))
    _ = end.takeOutputs()
    #expect(end.nextTimeout == .after(30))
    end.timeout(at: .after(30))
    let outputs = end.takeOutputs()
    #expect(outputs.map(\.kind) == ["failed closed", "close"] && outputs[0].failure?.id == id)
    // A request that times out may be what the closing waited for.
    end = try open { $0.requestTimeout = .seconds(5) }
    _ = end.request(CoAPRequest(.get), at: .start)
    _ = try end.take(.release(alternatives: [], holdOff: nil))
    end.timeout(at: .after(5))
    #expect(end.takeOutputs().map(\.kind) == ["failed noResponse", "close"])
  }

  @Test("RFC 8323 section 5.6: an Abort ends it, whoever sends it") func abort() throws {
    var end = try open()
    _ = try end.take(get(1))
    let id = end.request(CoAPRequest(.get), at: .start)
    _ = end.takeOutputs()
    var outputs = try end.take(.abort(badOption: nil, diagnostic: "going down" + String(repeating: "!", count: 1000)))
    #expect(outputs.map(\.kind) == ["failed closed", "close coapPeerAborted"] && outputs[0].failure?.id == id)
    #expect(end.diagnostic.hasPrefix("going down!") && end.diagnostic.count == 200 && end.openState == (0, 0))
    #expect(try end.take(get(2)).isEmpty)

    end = try open()
    _ = end.request(CoAPRequest(.get), at: .start)
    _ = end.takeOutputs()
    end.abort(nil, diagnostic: "revoked", at: .start)
    outputs = end.takeOutputs()
    #expect(outputs.map(\.kind) == ["transmit", "failed closed", "close"])
    #expect(try CoAPSignal(parsing: end.messages(outputs)[0]) == .abort(badOption: nil, diagnostic: "revoked"))
    #expect(try end.take(get(2)).isEmpty && end.nextTimeout == nil)
    // A diagnostic that the peer cannot take is left out.
    end = try open()
    _ = try end.take(.capabilities(CoAPCapabilities(maximumMessageSize: 8)))
    end.abort(.coapMessageTooLarge, at: .start)
    #expect(try CoAPSignal(parsing: end.messages(end.takeOutputs())[0]) == .abort(badOption: nil, diagnostic: ""))
  }

  @Test("RFC 8323 section 5.6: what is malformed or too large ends the connection") func malformed() throws {
    let frames: [(String, DropReason)] = [
      ("00 20", .coapCodeClassReserved), ("00 c5", .coapCodeClassReserved), ("09 01", .coapTokenLengthReserved),
      ("10 01 ff", .coapPayloadMarkerWithoutPayload), ("20 01 00", .truncated), ("00 01 00", .trailingBytes),
      ("10 e2 10", .coapOptionUnknownCritical), ("10 ea 10", .coapOptionUnknownCritical), ("", .truncated),
      ("d0 08" + " 01" + String(repeating: "00", count: 21), .coapMessageTooLarge),
    ]
    for (hex, reason) in frames {
      var end = try open { $0.maximumMessageSize = 23 }
      let frame = try bytes(hex)
      end.receive(frame.rawSpan, at: .start)
      let outputs = end.takeOutputs()
      #expect(outputs.map(\.kind) == ["transmit", "close \(reason)"])
      #expect(try CoAPSignal(parsing: end.messages(outputs)[0]) == .abort(badOption: nil, diagnostic: reason.name))
    }
    // As large as may be.
    var end = try open { $0.maximumMessageSize = 23 }
    #expect(try end.take(CoAPStreamMessage(code: .post, payload: streamBody(19))).map(\.kind) == ["request"])
  }
}
