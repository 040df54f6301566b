import IEEE802154
import SixLoWPAN
import TestSupport
import Testing
import Wire

@Suite struct MeshTests {
  static let addresses: [MACAddress] = [
    .short(ShortAddress(0x1234)), .extended(ExtendedAddress(0x0212_4b00_0000_0007)),
  ]

  @Test("Mesh headers of all address forms and hop counts come back (RFC 4944, 5.2)")
  func roundTrip() throws {
    for originator in Self.addresses {
      for destination in Self.addresses {
        for hops in UInt8.min...UInt8.max {
          let header = MeshHeader(hopsLeft: hops, originator: originator, finalDestination: destination)
          let bytes = try header.encoded()
          #expect(bytes.count == header.encodedLength)
          #expect(try MeshHeader(parsing: bytes) == header)
          for length in 0..<bytes.count {
            #expect(throws: ParseError.self) { try MeshHeader(parsing: Array(bytes.prefix(length))) }
          }
        }
      }
    }
  }

  @Test("The header's bits are those of the RFC: V and F for short addresses, then hops (RFC 4944, 5.2)")
  func bits() throws {
    let header = MeshHeader(
      hopsLeft: 5, originator: .short(ShortAddress(0x1234)), finalDestination: .short(ShortAddress(0xabcd)))
    #expect(try header.encoded().hex == "b51234abcd")
    var deep = header
    deep.hopsLeft = 15
    #expect(try deep.encoded().hex == "bf0f1234abcd")
  }

  @Test("A header without addresses cannot be written")
  func absent() {
    let header = MeshHeader(hopsLeft: 1, originator: .absent, finalDestination: .short(ShortAddress(1)))
    #expect(throws: EmitError.notRepresentable) { try header.encoded() }
  }

  @Test("Originator and final destination take the place of the frame's addresses (RFC 4944, 5.2 and 11)")
  func addressesOfTheMesh() throws {
    let link = Reception.link(9)
    // Elided interface identifiers, so that the packet depends on the link.
    let frame: [UInt8] = [0x7b, 0x33, 0x3a, 0x80, 0, 0x12, 0x34]
    let mesh = MeshHeader(hopsLeft: 3, originator: link.source, finalDestination: link.destination)
    let reception = Reception()
    let direct = reception.take(frame, from: link)
    #expect(reception.mesh == nil)
    #expect(reception.take(try mesh.encoded() + frame, from: Reception.link(1)) == direct)
    #expect(reception.mesh == mesh)
    #expect(direct != reception.take(frame, from: Reception.link(1)))
    #expect(reception.mesh == nil)
  }

  @Test("A frame whose hops are used up is refused (RFC 4944, 5.2)")
  func hopsExhausted() throws {
    let packet = try Reception.packet(60)
    for hops in [UInt8(0), 1, 14, 15, 255] {
      let mesh = MeshHeader(hopsLeft: hops, originator: Self.addresses[0], finalDestination: Self.addresses[1])
      let outcome = Reception().take(try mesh.encoded() + [0x41] + packet)
      #expect(outcome == (hops == 0 ? .dropped(.lowpanMeshHopsExhausted) : .packet(packet)))
    }
    // The deep form can say zero too.
    #expect(Reception().take([0xbf, 0, 0, 1, 0, 2, 0x41] + packet) == .dropped(.lowpanMeshHopsExhausted))
  }

  @Test("A broadcast header stands behind the mesh header, and once (RFC 4944, 11.1)")
  func broadcast() throws {
    let packet = try Reception.packet(60)
    let mesh = MeshHeader(hopsLeft: 2, originator: Self.addresses[0], finalDestination: .short(.broadcast))
    let broadcast = BroadcastHeader(sequenceNumber: 77)
    let reception = Reception()
    #expect(reception.take(try mesh.encoded() + broadcast.encoded() + [0x41] + packet) == .packet(packet))
    #expect(reception.mesh == mesh)
    #expect(reception.broadcast == broadcast)
    #expect(reception.take([0x41] + packet) == .packet(packet))
    #expect(reception.broadcast == nil)
    let twice = try broadcast.encoded() + broadcast.encoded() + [0x41] + packet
    #expect(reception.take(twice) == .dropped(.lowpanDispatchUnknown))
    let wrongOrder = try broadcast.encoded() + mesh.encoded() + [0x41] + packet
    #expect(reception.take(wrongOrder) == .dropped(.lowpanDispatchUnknown))
  }

  @Test("Fragments belong together by originator, whichever neighbour passed them on (RFC 4944, 5.3)")
  func fragments() throws {
    let packet = try Reception.packet(200)
    let mesh = try MeshHeader(
      hopsLeft: 3, originator: Self.addresses[0], finalDestination: Self.addresses[1]
    ).encoded()
    let other = try MeshHeader(
      hopsLeft: 3, originator: .short(ShortAddress(0x1235)), finalDestination: Self.addresses[1]
    ).encoded()
    let reception = Reception()
    let last = try Reception.next(packet, 80..<200)
    #expect(reception.take(mesh + (try Reception.first(packet, to: 80)), from: Reception.link(1)) == .incomplete)
    #expect(reception.take(other + last, from: Reception.link(1)) == .incomplete)
    #expect(reception.take(last, from: Reception.link(1)) == .incomplete)
    #expect(reception.take(mesh + last, from: Reception.link(2)) == .packet(packet))
  }
}
