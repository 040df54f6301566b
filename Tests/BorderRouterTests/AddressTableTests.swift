import BorderRouter
import IEEE802154
import IPv6
import Testing
import Wire

@Suite struct AddressTableTests {
  @Test func whatWasLearnedNeverReplacesWhatWasConfigured() {
    var table = AddressTable(capacity: 2)
    let (pan, short) = (PANIdentifier(1), ShortAddress(5))
    table.configure(short, in: pan, as: ExtendedAddress(1))
    table.learn(short, in: pan, as: ExtendedAddress(2))
    #expect(table.extendedAddress(of: short, in: pan) == ExtendedAddress(1))
    table.learn(ShortAddress(6), in: pan, as: ExtendedAddress(3))
    table.learn(ShortAddress(7), in: pan, as: ExtendedAddress(4))
    #expect(table.extendedAddress(of: ShortAddress(6), in: pan) == ExtendedAddress(3))
    #expect(table.extendedAddress(of: ShortAddress(7), in: pan) == nil)
    table.learn(.broadcast, in: pan, as: ExtendedAddress(3))
    #expect(table.extendedAddress(of: .broadcast, in: pan) == nil)
  }

  @Test("What is learned from the air fills the table but does not change what was configured")
  func learnedFromTheAir() throws {
    var decoder = FrameDecoder()
    let (configured, free) = (ShortAddress(0x0b05), ShortAddress(0x0b06))
    decoder.addresses.configure(configured, in: Border.pan, as: ExtendedAddress(1))
    for short in [configured, free] {
      var node = Node(1)
      node.radio = .short(short)
      let packet = try node.icmpv6(
        RouterSolicitation(), [.sourceLinkLayerAddress(.extended(0x0212_4b00_0000_0099))], to: .allRouters)
      for frame in try node.frames(packet) { #expect(decoder.decoded(frame).reason == nil) }
    }
    let (kept, learned) = (
      decoder.addresses.extendedAddress(of: configured, in: Border.pan),
      decoder.addresses.extendedAddress(of: free, in: Border.pan)
    )
    #expect(kept == ExtendedAddress(1))
    #expect(learned == ExtendedAddress(0x0212_4b00_0000_0099))
  }

  @Test("A pair that was learned may change, and one that was configured may be taken back")
  func changes() {
    var table = AddressTable()
    let (pan, short) = (PANIdentifier(1), ShortAddress(5))
    table.learn(short, in: pan, as: ExtendedAddress(1))
    table.learn(short, in: pan, as: ExtendedAddress(2))
    #expect(table.extendedAddress(of: short, in: pan) == ExtendedAddress(2))
    #expect(table.extendedAddress(of: short, in: PANIdentifier(2)) == nil)
    table.configure(short, in: pan, as: ExtendedAddress(3))
    table.remove(short, in: pan)
    #expect(table.count == 0)
    table.learn(short, in: pan, as: ExtendedAddress(4))
    #expect(table.extendedAddress(of: short, in: pan) == ExtendedAddress(4))
  }
}
