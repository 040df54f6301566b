import IPv6
import TestSupport
import Testing
import Wire

@Suite struct NeighborDiscoveryOptionTests {
  func parse(_ hex: String) throws -> NeighborDiscoveryOption {
    let bytes = try #require([UInt8](hex: hex))
    return try NeighborDiscoveryOption(parsing: bytes)
  }

  /// The value of the text and the text of the value.
  func expect(
    _ hex: String, _ option: NeighborDiscoveryOption, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    #expect(try parse(hex) == option, sourceLocation: sourceLocation)
    #expect(try option.encoded().hex == hex.filter { $0 != " " }, sourceLocation: sourceLocation)
  }

  @Test("RFC 4944 section 8: link-layer addresses with their padding") func linkLayerAddresses() throws {
    try expect("0101 0b02 00000000", .sourceLinkLayerAddress(.short(0x0b02)))
    try expect("0202 02124b0000000003 000000000000", .targetLinkLayerAddress(.extended(0x0212_4b00_0000_0003)))
    #expect(reason { _ = try parse("0103" + String(repeating: "00", count: 22)) } == .ndOptionMalformed)
    #expect(LinkLayerAddress.short(0x0b02).interfaceIdentifier == 0xff_fe00_0b02)
  }

  @Test("RFC 4861 section 4.6") func base() throws {
    try expect(
      "0304 40c0 00015180 00003840 00000000 20010db8000000000000000000000000",
      .prefixInformation(
        PrefixInformation(
          prefix: try #require(IPv6Prefix("2001:db8::/64")), isOnLink: true, isAutonomous: true,
          validLifetime: 86_400, preferredLifetime: 14_400)))
    try expect("0501 0000 00000500", .mtu(1280))
    try expect("0402 000000000000 0102030405060708", .redirectedHeader([1, 2, 3, 4, 5, 6, 7, 8]))
    try expect("0e01 010203040506", .nonce([1, 2, 3, 4, 5, 6]))
    try expect(
      "1803 4000 00000708 20010db8000000000000000000000000",
      .other(.routeInformation, [UInt8](hex: "400000000708 20010db8000000000000000000000000") ?? []))
    for hex in [
      // Length zero, past the end, not one the type has; a prefix of 129 bits.
      "0500", "0502000000000500", "05020000000005000000000000000000", "0303" + String(repeating: "00", count: 22),
      "0304 81" + String(repeating: "00", count: 29),
    ] {
      #expect(reason { _ = try parse(hex) } == .ndOptionMalformed, "\(hex)")
    }
    #expect(reason { _ = try parse("05") } == .truncated)
    // Bits behind the prefix length are ignored.
    let noisy = try parse("0304 20c0 00000001 00000001 ffffffff 20010db8ffffffffffffffffffffffff")
    guard case .prefixInformation(let information) = noisy else { throw ParseError(.ndOptionMalformed) }
    #expect(information.prefix == IPv6Prefix("2001:db8::/32"))
  }

  @Test("RFC 6775 section 4.1 and RFC 8505 section 4.1: ARO and EARO") func registration() throws {
    try expect(
      "2102 02 00 00 00 000f 02124b0000000003",
      .addressRegistration(
        AddressRegistration(
          status: .neighborCacheFull, lifetime: 15,
          verifier: RegistrationOwnershipVerifier(0x0212_4b00_0000_0003))))
    let long = (1...32).map { UInt8($0) }
    try expect(
      "2105 03 7f 07 2a 1234" + long.hex,
      .addressRegistration(
        AddressRegistration(
          status: .moved, opaque: 0x7f, opaqueKind: 1, wantsRouting: true, transactionID: 42, lifetime: 0x1234,
          verifier: try #require(RegistrationOwnershipVerifier(long)))))
    // The transaction ID of an option without the T flag is ignored, as are reserved bits.
    #expect(
      try parse("2102 00 00 f0 2a 000f 02124b0000000003")
        == .addressRegistration(
          AddressRegistration(lifetime: 15, verifier: RegistrationOwnershipVerifier(0x0212_4b00_0000_0003))))
    for units in [1, 6, 7] {
      let hex = "210\(units)" + String(repeating: "00", count: units * 8 - 2)
      #expect(reason { _ = try parse(hex) } == .ndOptionMalformed)
    }
    #expect(RegistrationOwnershipVerifier([1]) == nil && RegistrationOwnershipVerifier([]) == nil)
    #expect(RegistrationOwnershipVerifier(long)?.bytes == long)
    #expect(RegistrationOwnershipVerifier(long)?.eui64 == nil)
    #expect((0...255).filter { RegistrationStatus(rawValue: $0).isAssigned } == Array(0...10))
    #expect(RegistrationStatus.validationFailed.rawValue == 10)
  }

  @Test("RFC 6775 section 4.2: context option") func context() throws {
    try expect(
      "2202 40 11 0000 ffff fd00000100000000",
      .context(
        ContextInformation(
          prefix: try #require(IPv6Prefix("fd00:1::/64")), isForCompression: true, identifier: 1,
          validLifetime: .max)))
    try expect(
      "2203 80 0f 0000 0000 fd000001000000000000000000000001",
      .context(
        ContextInformation(
          prefix: try #require(IPv6Prefix("fd00:1::1/128")), isForCompression: false, identifier: 15,
          validLifetime: 0)))
    // More than 64 bits need the long form; the long form may hold less.
    #expect(reason { _ = try parse("2202 41 11 0000 ffff fd00000100000000") } == .ndOptionMalformed)
    #expect(reason { _ = try parse("2203 81 0f 0000 0000 fd000001000000000000000000000001") } == .ndOptionMalformed)
    #expect(reason { _ = try parse("2201 00 0f 0000 0000") } == .ndOptionMalformed)
    #expect(
      try parse("2203 40 11 0000 ffff fd000001000000000000000000000000")
        == parse("2202 40 11 0000 ffff fd00000100000000"))
    #expect(throws: EmitError.notRepresentable) {
      try NeighborDiscoveryOption.context(
        ContextInformation(
          prefix: IPv6Prefix(.unspecified, length: 0), isForCompression: true, identifier: 16, validLifetime: 1)
      ).encoded()
    }
  }

  @Test("RFC 6775 section 4.3: border router option") func borderRouter() throws {
    let router = AuthoritativeBorderRouter(
      version: 0x0001_0002, validLifetime: 0, address: try #require(IPv6Address("fd00:1::1")))
    try expect(
      "2303 0002 0001 0000 fd000001000000000000000000000001", .authoritativeBorderRouter(router))
    #expect(router.effectiveLifetime == 10_000)
    #expect(reason { _ = try parse("2302 0002 0001 0000 fd00000100000000") } == .ndOptionMalformed)
  }

  @Test("RFC 7400 section 3.3 and RFC 8505 section 4.3: capabilities") func capabilities() throws {
    try expect("2401 0001 00000000", .capabilities(.genericHeaderCompression))
    try expect(
      "2401 003e 00000000",
      .capabilities([.extendedDuplicateAddress, .router, .borderRouter, .routingRegistrar, .extendedRegistration]))
    // "Length values larger than 1 MUST be accepted" (3.4), unassigned flags are kept.
    #expect(
      try parse("2402 0001 00000001 ffffffffffffffff")
        == .capabilities([.genericHeaderCompression, LowpanCapabilities(rawValue: 1)]))
  }

  @Test("RFC 6775 section 4.4 and RFC 8505 section 4.2: DAR, DAC, EDAR, EDAC") func duplicateAddress() throws {
    let plain = try #require(
      [UInt8](hex: "9d00 0000 00 00 000f 02124b0000000003 fd00000100000000 00124b0000000003"))
    let request = try DuplicateAddressMessage(parsing: plain)
    #expect(!request.isConfirmation && request.transactionID == nil && request.lifetime == 15)
    #expect(request.verifier.eui64 == 0x0212_4b00_0000_0003)
    #expect(request.registeredAddress == IPv6Address("fd00:1::12:4b00:0:3"))
    #expect(try request.encoded() == plain)
    let extended = try #require(
      [UInt8](
        hex: """
          9e02 0000 03 2a 000f 000102030405060708090a0b0c0d0e0f fd00000100000000 00124b0000000003
          """))
    let confirmation = try DuplicateAddressMessage(parsing: extended)
    #expect(confirmation.isConfirmation && confirmation.transactionID == 42 && confirmation.status == .moved)
    #expect(confirmation.verifier.bytes == (0..<16).map { UInt8($0) })
    #expect(try confirmation.encoded() == extended)
    // The code's prefix is ignored, its suffix has values up to 4.
    #expect(try DuplicateAddressMessage(parsing: [0x9e, 0xf2] + extended.dropFirst(2)) == confirmation)
    #expect(
      reason { _ = try DuplicateAddressMessage(parsing: [0x9e, 5] + extended.dropFirst(2)) } == .ndMessageMalformed)
    #expect(
      reason { _ = try DuplicateAddressMessage(parsing: plain.dropLast(16) + [0xff, 2] + plain.suffix(14)) }
        == .ndMessageMalformed)
    var unrepresentable = confirmation
    unrepresentable.transactionID = nil
    #expect(throws: EmitError.notRepresentable) { try unrepresentable.encoded() }
  }

  @Test func optionsAreTwins() throws {
    var generator = SeededGenerator(seed: 34)
    for _ in 0..<50 {
      let prefix = IPv6Prefix(generator.address(), length: UInt8.random(in: 0...128, using: &generator))
      let units = Int.random(in: 1...5, using: &generator)
      let verifier = try #require(
        RegistrationOwnershipVerifier(generator.bytes(8 * Int.random(in: 1...4, using: &generator))))
      let options: [NeighborDiscoveryOption] = [
        .sourceLinkLayerAddress(.short(generator.word())), .targetLinkLayerAddress(.extended(generator.next())),
        .prefixInformation(
          PrefixInformation(
            prefix: prefix, isOnLink: generator.flag(), isAutonomous: generator.flag(),
            validLifetime: UInt32(generator.word()), preferredLifetime: .max)),
        .redirectedHeader(generator.bytes(8 * units)), .mtu(UInt32(generator.word())),
        .nonce(generator.bytes(8 * units - 2)),
        .addressRegistration(
          AddressRegistration(
            status: RegistrationStatus(rawValue: generator.byte()), opaque: generator.byte(),
            opaqueKind: generator.byte() & 3, wantsRouting: generator.flag(),
            transactionID: generator.flag() ? generator.byte() : nil, lifetime: generator.word(),
            verifier: verifier)),
        .context(
          ContextInformation(
            prefix: prefix, isForCompression: generator.flag(), identifier: generator.byte() & 15,
            validLifetime: generator.word())),
        .authoritativeBorderRouter(
          AuthoritativeBorderRouter(
            version: UInt32(generator.word()) << 7, validLifetime: generator.word(),
            address: generator.address())),
        .capabilities(LowpanCapabilities(rawValue: generator.next() >> 16)),
        .other(NeighborDiscoveryOptionType(rawValue: 200), generator.bytes(8 * units - 2)),
      ]
      for option in options { try expectTwins(option) }
    }
  }

  @Test func whatHasNoEncoding() {
    let bad: [NeighborDiscoveryOption] = [
      .nonce([1]), .nonce([]), .redirectedHeader([1]), .other(.mtu, [0, 0, 0, 0, 5, 0]),
      .other(.routeInformation, [UInt8](repeating: 0, count: 2046)),
      .capabilities(LowpanCapabilities(rawValue: 1 << 48)),
    ]
    for option in bad { #expect(throws: EmitError.notRepresentable) { try option.encoded() } }
  }

  @Test func aMalformedOptionCanBePassedOver() throws {
    // A border router option of a wrong length in front of an MTU.
    let bytes = try #require([UInt8](hex: "2302 0002 0001 0000 fd00000100000000 0501000000000500"))
    var options = NeighborDiscoveryOptions(bytes.rawSpan)
    var values: [NeighborDiscoveryOption] = []
    var refused = 0
    while let option = try options.next() {
      if let value = try? option.value() { values.append(value) } else { refused += 1 }
    }
    #expect(values == [.mtu(1280)] && refused == 1)
  }
}
