import CoAP
import TestSupport
import Testing
import Wire

@testable import OSCORE

/// RFC 8613, 7.2, 7.5 and B.1: sequence numbers, restarts, and the Echo challenge.
struct DurabilityTests {
  @Test("A reservation is due before the first message and then after each step", arguments: [1, 2, 16] as [UInt32])
  func reservations(_ step: UInt32) throws {
    var pair = try Pair(configuration: .init(reservationStep: step))
    #expect(pair.client.reservation == nil)
    var writes = 0
    for number in 0..<64 as Range<UInt64> {
      _ = try pair.send()
      if let reservation = pair.client.reservation {
        #expect(number % UInt64(step) == 0)
        #expect(reservation.bound == number + UInt64(step))
        #expect(pair.client.durableState.sequenceBound == reservation.bound)
        pair.client.persisted(reservation)
        writes += 1
      }
      #expect(pair.client.reservation == nil)
    }
    #expect(writes == 64 / Int(step))
  }

  @Test("A reservation that is not stored stays due, and a late one does not hide a newer one")
  func lateReservations() throws {
    var pair = try Pair(configuration: .init(reservationStep: 2))
    _ = try pair.send()
    let first = try #require(pair.client.reservation)
    _ = try pair.send()
    #expect(pair.client.reservation == first)
    _ = try pair.send()
    pair.client.persisted(first)
    #expect(pair.client.reservation?.bound == 4)
    // A claim to more than was reserved counts for nothing.
    pair.client.persisted(OSCOREReservation(bound: 1000))
    _ = try pair.send()
    _ = try pair.send()
    #expect(pair.client.reservation?.bound == 6)
  }

  @Test("Crashes at any message: no sequence number is used twice")
  func crashes() throws {
    var generator = SeededGenerator(seed: 9)
    var context = try Pair(configuration: .init(reservationStep: 5)).client
    var stored = context.durableState
    var used: Set<[UInt8]> = []
    for _ in 0..<500 {
      let (request, _) = try context.protectRequest(.ping)
      if generator.oneIn(7) {
        // The process ends before it has stored and sent.
        context = OSCORESecurityContext(restoring: stored, challenge: 1, configuration: .init(reservationStep: 5))
        continue
      }
      if let reservation = context.reservation {
        stored = try OSCOREDurableState(parsing: context.durableState.encoded())
        context.persisted(reservation)
      }
      #expect(used.insert(try #require(request.options[value: .oscore])).inserted)
    }
  }

  @Test("After 2^40 - 1 nothing is protected, also not after a restart")
  func exhaustion() throws {
    var pair = try Pair()
    pair.client.sequence = SenderSequence(from: OSCOREOptionValue.maximumPartialIV - 1, step: 128)
    let (one, _) = try pair.send()
    let (last, _) = try pair.send()
    #expect(last.options[value: .oscore] == [0x0d, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc1])
    #expect(pair.client.reservation?.bound == 1 << 40)
    #expect(pair.refusal(last) == nil && pair.refusal(one) == nil)
    for _ in 0..<3 { #expect(throws: OSCOREError(.oscoreSequenceExhausted)) { try pair.send() } }

    let state = try OSCOREDurableState(parsing: pair.client.durableState.encoded())
    var restored = OSCORESecurityContext(restoring: state, challenge: 1)
    #expect(throws: OSCOREError(.oscoreSequenceExhausted)) { try restored.protectRequest(.ping) }
    // It cannot even challenge, so it takes nothing.
    let (toClient, _) = try pair.server.protectRequest(.ping)
    #expect(throws: OSCORERefusal(.oscoreSequenceExhausted)) { try restored.unprotectRequest(toClient) }
  }

  @Test("A restarted server takes nothing before the Echo value comes back, and then no old request")
  func echo() throws {
    var pair = try Pair()
    var old: [CoAPRequest] = []
    for _ in 0..<5 { old.append(try pair.send().0) }
    _ = try pair.take(old[0])
    pair.server = OSCORESecurityContext(
      restoring: try OSCOREDurableState(parsing: pair.server.durableState.encoded()), challenge: 0x0102_0304_0506_0708)
    #expect(!pair.server.isReplayWindowValid)

    var forged = old[1]
    forged.payload[0] ^= 1
    #expect(pair.refusal(forged)?.reason == .oscoreDecryptionFailed)
    #expect(pair.server.nextSequenceNumber == 0, "a forgery costs no sequence number")

    // A replay and a new request are challenged alike.
    var (request, exchange) = try pair.send(CoAPRequest(.put, path: ["lock"], payload: [1]))
    #expect(try pair.server.unprotectRequest(old[0]).challenge != nil)
    let challenge = try #require(try pair.server.unprotectRequest(request).challenge)
    #expect(challenge.code == .changed)
    #expect(challenge.options[value: .oscore] == [1, 1])
    #expect(pair.server.reservation != nil)
    let inner = try pair.client.unprotectResponse(challenge, in: &exchange)
    #expect(inner == CoAPResponse(code: .unauthorized, options: [CoAPOption(.echo, [1, 2, 3, 4, 5, 6, 7, 8])]))

    // A wrong value is challenged again.
    for wrong in [[], [1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 4, 5, 6, 7, 9], [1, 2, 3, 4, 5, 6, 7, 8, 0]] as [[UInt8]] {
      var again = CoAPRequest.ping
      again.echo = wrong
      #expect(try pair.server.unprotectRequest(pair.send(again).0).challenge != nil)
    }
    var again = CoAPRequest(.put, path: ["lock"], payload: [1])
    again.echo = inner.echo
    (request, exchange) = try pair.send(again)
    let (taken, atServer) = try pair.take(request)
    #expect(taken == again)
    #expect(pair.server.isReplayWindowValid)
    let response = try pair.server.protectResponse(CoAPResponse(.changed), in: atServer)
    #expect(try pair.client.unprotectResponse(response, in: &exchange).code == .changed)

    for request in old + [request] { #expect(pair.refusal(request)?.reason == .oscoreReplay) }
    #expect(try pair.take(pair.send().0).0 == .ping)
  }

  @Test("A restored context is a full client at once")
  func restoredClient() throws {
    var pair = try Pair(idContext: [1, 2])
    _ = try pair.take(pair.send().0)
    let state = pair.client.durableState
    pair.client = OSCORESecurityContext(restoring: state, challenge: 5)
    #expect(pair.client.nextSequenceNumber == 128)
    var (request, exchange) = try pair.send()
    let atServer = try pair.take(request).1
    let response = try pair.server.protectResponse(CoAPResponse(.content), in: atServer)
    #expect(try pair.client.unprotectResponse(response, in: &exchange).code == .content)
  }

  @Test("The durable state is parsed and emitted; every other byte string is refused or is itself")
  func durableState() throws {
    var generator = SeededGenerator(seed: 12)
    for _ in 0..<100 {
      var context = try Pair(
        clientID: generator.bytes(in: 0...3).hex, serverID: generator.bytes(in: 4...7).hex,
        idContext: generator.oneIn(2) ? nil : generator.bytes(in: 0...300)
      ).client
      context.sequence = SenderSequence(from: generator.next() >> 24, step: 1)
      let state = context.durableState
      let written = try state.encoded()
      #expect(written.count == state.encodedLength)
      #expect(try OSCOREDurableState(parsing: written) == state)
      for count in 0..<written.count {
        #expect(throws: ParseError.self) { try OSCOREDurableState(parsing: Array(written.prefix(count))) }
      }
      for _ in 0..<20 {
        var noise = written
        noise[Int.random(in: 0..<noise.count, using: &generator)] = UInt8(truncatingIfNeeded: generator.next())
        if let parsed = try? OSCOREDurableState(parsing: noise) { #expect(try parsed.encoded() == noise) }
      }
    }
  }
}
