import BorderRouter
import IEEE802154
import Testing

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
}
