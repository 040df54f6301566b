import CoAP
import Envelope
import MemberSecurity
import OSCORE
import TestSupport
import Testing
import Wire

/// RFC 9528 and RFC 9668 between members of a group: first keys and first request in two exchanges, then OSCORE.
@Suite struct MemberSecurityTests {
  let pair: Pair
  let gateway: Party
  let node: Party

  init() throws {
    pair = try Pair()
    gateway = Party(pair.gateway, knows: [pair.node, pair.other], seed: 1)
    node = Party(pair.node, knows: [pair.gateway], seed: 2)
  }

  @Test(
    "The first request brings message_3, the second is OSCORE alone", arguments: [EDHOCMethod.staticDH, .signature])
  func first(method: EDHOCMethod) throws {
    let (answer, sent, _) = try node.ask(.reading([1, 2]), of: gateway, method: method)
    #expect(answer?.payload == [1, 2, 0xff] && answer?.code == .content)
    #expect(sent.count == 2 && sent[0].uriPath == CoAPRequest.edhocPath && sent[1].isEDHOCCombined)
    #expect(sent[1].uriPath.isEmpty && sent[1].contentFormat == nil)
    let (second, again, _) = try node.ask(.reading([3]), of: gateway)
    #expect(second?.payload == [3, 0xff])
    #expect(again.count == 1 && !again[0].isEDHOCCombined && again[0].options.contains(.oscore))
    // One byte each is enough for the names.
    #expect(node.contexts[pair.gateway.address]?.recipientID.count == 1)
    #expect(gateway.contexts[pair.node.address]?.recipientID.count == 1)
  }

  @Test("The gateway asks the node under the same keys") func reverse() throws {
    _ = try node.ask(.reading([1]), of: gateway)
    let (answer, sent, _) = try gateway.ask(CoAPRequest(.put, path: ["lock"], payload: [7]), of: node)
    #expect(answer?.payload == [7, 0xff] && sent.count == 1)
  }

  @Test("A stranger, a member that was removed and a wrong gateway get no keys") func strangers() throws {
    let stranger = Party(pair.other, knows: [pair.gateway], seed: 3)
    gateway.roster = MemberRoster([Pair.member(pair.node)])
    let (_, _, failure) = try stranger.ask(.reading([1]), of: gateway)
    #expect(failure == .oscoreUnprotected && gateway.contexts.counters[.edhocCredentialUnknown] == 1)
    #expect(!gateway.contexts.hasContext(with: pair.other.address))
    // Someone else answers in the gateway's place.
    let impostor = Party(pair.other, knows: [pair.node], seed: 4)
    var request = ProtectedRequest(.reading([1]), to: Pair.member(pair.gateway))
    let message1 = try node.start(&request)
    guard
      case .failed(.edhocCredentialUnknown) = request.receive(
        try impostor.serve(message1).0, &node.contexts, keep: node.keep)
    else {
      Issue.record("the impostor was believed")
      return
    }
  }

  @Test("What was recorded is refused when it comes again") func replay() throws {
    let (_, sent, _) = try node.ask(.reading([1]), of: gateway)
    let combined = try gateway.serve(sent[1])
    #expect(combined.reason == .oscoreReplay && combined.asked == nil)
    let (_, more, _) = try node.ask(.reading([2]), of: gateway)
    #expect(try gateway.serve(more[0]).reason == .oscoreReplay)
    var flipped = more[0]
    flipped.payload[0] ^= 1
    #expect(try gateway.serve(flipped).asked == nil)
  }

  @Test("The gateway restarts: the first request is challenged, then all is as before") func gatewayRestarts() throws {
    let (_, first, _) = try node.ask(.reading([1]), of: gateway)
    gateway.restart(seed: 9)
    // Neither the first nor any other request of before is taken again.
    #expect(try gateway.serve(first[1]).asked == nil)
    let (answer, sent, _) = try node.ask(.reading([2]), of: gateway)
    #expect(answer?.payload == [2, 0xff] && sent.count == 2)
    #expect(sent.allSatisfy { $0.options.contains(.oscore) && !$0.isEDHOCCombined })
    #expect(try node.ask(.reading([3]), of: gateway).sent.count == 1)
  }

  @Test("The node restarts: numbers go on beyond those that it may have used") func nodeRestarts() throws {
    _ = try node.ask(.reading([1]), of: gateway)
    let before = try #require(node.contexts[pair.gateway.address]?.nextSequenceNumber)
    node.restart(seed: 9)
    let after = try #require(node.contexts[pair.gateway.address]?.nextSequenceNumber)
    #expect(after > before)
    #expect(try node.ask(.reading([2]), of: gateway).answer?.payload == [2, 0xff])
  }

  @Test("Nothing leaves whose number could not be kept") func brokenDisk() throws {
    gateway.isBroken = true
    let (_, _, failure) = try node.ask(.reading([1]), of: gateway)
    #expect(failure != nil && !gateway.contexts.hasContext(with: pair.node.address))
    gateway.isBroken = false
    _ = try node.ask(.reading([1]), of: gateway)
    node.restart(seed: 11)
    node.isBroken = true
    #expect(throws: OSCOREError(.queueUnavailable)) { try node.ask(.reading([2]), of: gateway) }
  }

  @Test("New keys replace the old ones when message_3 has authenticated the member, not before") func rekey() throws {
    _ = try node.ask(.reading([1]), of: gateway)
    let old = try #require(gateway.contexts[pair.node.address])
    // Anybody can send message_1, and somebody does.
    let stranger = Party(pair.other, knows: [pair.gateway], seed: 3)
    var request = ProtectedRequest(.reading([9]), to: Pair.member(pair.gateway))
    _ = try gateway.serve(try stranger.start(&request))
    #expect(gateway.contexts[pair.node.address]?.recipientID == old.recipientID)
    #expect(try node.ask(.reading([2]), of: gateway).answer != nil)
    let (answer, sent, _) = try node.ask(.reading([3]), of: gateway, anew: true)
    #expect(answer?.payload == [3, 0xff] && sent.count == 2)
    #expect(gateway.contexts[pair.node.address]?.recipientID != old.recipientID)
    #expect(gateway.contexts.count == 1)
  }

  @Test("Sessions that nobody finishes are few, end, and are counted") func halfOpen() throws {
    var limits = MemberSecurityLimits()
    limits.halfOpen = 3
    let gateway = Party(pair.gateway, knows: [pair.node], seed: 1, limits: limits)
    var requests: [(ProtectedRequest, CoAPResponse)] = []
    for _ in 0..<5 {
      var request = ProtectedRequest(.reading([1]), to: Pair.member(pair.gateway))
      requests.append((request, try gateway.serve(try node.start(&request)).0))
      requests[requests.count - 1].0 = request
    }
    #expect(gateway.contexts.halfOpenCount == 3 && gateway.contexts.counters[.edhocSessionDropped] == 2)
    for (index, expected) in [(0, false), (4, true)] {
      guard case .send(let combined) = requests[index].0.receive(requests[index].1, &node.contexts, keep: node.keep)
      else {
        Issue.record("message_2 was not taken")
        return
      }
      #expect((try gateway.serve(combined).asked != nil) == expected)
    }
    gateway.now = gateway.now.advanced(by: limits.halfOpenLifetime)
    _ = try gateway.serve(.reading([1]))
    #expect(gateway.contexts.halfOpenCount == 0)
  }

  @Test("A removed member's context is gone, on disk too, and its requests are refused") func removed() throws {
    _ = try node.ask(.reading([1]), of: gateway)
    gateway.contexts.remove(pair.node.address, keep: gateway.keep)
    #expect(gateway.kept[pair.node.address] == nil)
    let (_, _, failure) = try node.ask(.reading([2]), of: gateway)
    #expect(failure == .oscoreUnprotected)
    // Even if the context were there, the record decides.
    _ = try node.ask(.reading([3]), of: gateway, anew: true)
    gateway.roster = MemberRoster([])
    var request = ProtectedRequest(.reading([4]), to: Pair.member(pair.gateway))
    let refused = try gateway.serve(try node.start(&request))
    #expect(refused.reason == .senderRevoked && !gateway.contexts.hasContext(with: pair.node.address))
  }

  @Test("A gateway that lost its keys says so, and new ones are agreed on") func lost() throws {
    _ = try node.ask(.reading([1]), of: gateway)
    let forgetful = Party(pair.gateway, knows: [pair.node], seed: 20)
    let (_, _, failure) = try node.ask(.reading([2]), of: forgetful)
    #expect(failure == .oscoreUnprotected)
    #expect(node.contexts.hasContext(with: pair.gateway.address))
    #expect(try node.ask(.reading([3]), of: forgetful, anew: true).answer?.payload == [3, 0xff])
  }

  @Test("Identifiers of 60 members are as short as they can be, and none is given twice") func identifiers() throws {
    var generator = SeededGenerator(seed: 77)
    let identities = try (0..<60).map { try Identity.new(name: "n\($0)", validFrom: Pair.start, using: &generator) }
    let gateway = Party(pair.gateway, knows: identities, seed: 1)
    for (index, identity) in identities.enumerated() {
      let node = Party(identity, knows: [pair.gateway], seed: UInt64(index) + 100)
      #expect(try node.ask(.reading([1]), of: gateway).answer != nil)
    }
    let used = Set(identities.compactMap { gateway.contexts[$0.address]?.recipientID })
    #expect(used.count == 60 && used.allSatisfy { $0.count == 1 })
  }

  @Test("Nothing that is printed holds a key") func secrecy() throws {
    _ = try node.ask(.reading([1]), of: gateway)
    let text = "\(gateway.contexts) " + String(reflecting: gateway.contexts)
    #expect(text.hasPrefix("security of gateway with 1 members") && text.count < 200)
  }
}

/// Whatever comes over the air, changed at random: an answer, and never keys or a request that nobody made.
@Suite struct MutationTests {
  @Test("Changed messages are refused and do no harm", arguments: 1...20) func mutated(seed: UInt64) throws {
    let pair = try Pair()
    var generator = SeededGenerator(seed: seed)
    let gateway = Party(pair.gateway, knows: [pair.node], seed: seed)
    let node = Party(pair.node, knows: [pair.gateway], seed: seed + 50)
    let (_, first, _) = try node.ask(.reading([1]), of: gateway)
    let (_, second, _) = try node.ask(.reading([2]), of: gateway, anew: true)
    let before = gateway.contexts[pair.node.address]?.recipientID
    for original in first + second {
      for _ in 0..<40 {
        var changed = original
        switch generator.next() % 3 {
        case 0 where !changed.payload.isEmpty:
          let index = Int.random(in: changed.payload.indices, using: &generator)
          changed.payload[index] ^= UInt8.random(in: 1...255, using: &generator)
        case 1:
          changed.payload = Array(changed.payload.prefix(Int.random(in: 0...changed.payload.count, using: &generator)))
        default:
          guard let option = changed.options.randomElement(using: &generator) else { continue }
          changed.options[value: option.number] = generator.bytes(in: 0...12)
        }
        guard changed != original else { continue }
        #expect(try gateway.serve(changed).asked == nil)
      }
    }
    #expect(gateway.contexts[pair.node.address]?.recipientID == before)
    #expect(gateway.contexts.count == 1 && gateway.contexts.halfOpenCount <= gateway.limits.halfOpen)
    #expect(try node.ask(.reading([3]), of: gateway).answer?.payload == [3, 0xff])
  }
}
