//! What can be found: one closed list, so a metric label or a config key can never carry matched text.

use crate::redact::context;
use std::fmt;

/// How a type behaves when the config says nothing about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Default {
    /// Found wherever its format and validator hold.
    On,
    /// Needs one of its context words nearby.
    Context,
    /// Looked for only in the wide profile, or where the config says so.
    Optional,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident $name:literal $default:ident $proof:ident $rank:literal $context:expr;)*) => {
        /// A type of private data. The order is that of the documentation, not of priority.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $($(#[$doc])* $variant,)*
            /// A pattern of the user, by its place in `processors.redaction.custom`.
            Custom(u16),
        }

        impl Kind {
            /// Every built-in type.
            pub const BUILT_IN: &'static [Kind] = &[$(Kind::$variant),*];

            /// The name in config, placeholders and metrics; `CUSTOM` for a user's pattern, whose own name the redactor knows.
            pub const fn name(self) -> &'static str {
                match self { $(Kind::$variant => $name,)* Kind::Custom(_) => "CUSTOM" }
            }

            pub(crate) const fn default(self) -> Default {
                match self { $(Kind::$variant => Default::$default,)* Kind::Custom(_) => Default::On }
            }

            /// Whether a checksum or an unmistakable prefix proves the type without words around it.
            pub(crate) const fn self_proving(self) -> bool {
                match self { $(Kind::$variant => kinds!(@proof $proof),)* Kind::Custom(_) => true }
            }

            /// Place in the order that settles an overlap of equals: low wins.
            pub(crate) const fn rank(self) -> u8 {
                match self { $(Kind::$variant => $rank,)* Kind::Custom(_) => 0 }
            }

            /// The context words of this type, as bits of [`context`].
            pub(crate) const fn context(self) -> u64 {
                match self { $(Kind::$variant => $context,)* Kind::Custom(_) => 0 }
            }

            /// The place of a built-in type in [`Kind::BUILT_IN`].
            pub(crate) const fn index(self) -> Option<usize> {
                let mut at = 0;
                $(if matches!(self, Kind::$variant) { return Some(at); } at += 1;)*
                let _ = at;
                None
            }
        }
    };
    (@proof proven) => { true };
    (@proof format) => { false };
}

kinds! {
    /// An e-mail address.
    Email "EMAIL" On proven 6 0;
    /// A payment card number.
    CreditCard "CREDIT_CARD" On proven 8 context::CARD;
    /// An international bank account number.
    Iban "IBAN" On proven 7 context::IBAN;
    /// A United States social security number.
    UsSsn "US_SSN" On format 11 context::SSN;
    /// A key or token of a known service, or one that is named as a key.
    ApiKey "API_KEY" On proven 2 0;
    /// A signed token in three base64url parts.
    Jwt "JWT" On proven 1 0;
    /// An IPv4 or IPv6 address that could belong to somebody.
    IpAddress "IP_ADDRESS" On format 31 0;
    /// User and password inside a URL.
    UrlCredential "URL_CREDENTIAL" On proven 4 0;
    /// A PEM private key.
    PrivateKey "PRIVATE_KEY" On proven 0 0;
    /// What follows `Bearer`, `Token` or `Basic`.
    AuthToken "AUTH_TOKEN" On proven 3 0;
    /// A value that is named as a password or secret.
    Password "PASSWORD" On proven 5 0;
    /// A telephone number.
    Phone "PHONE" On format 30 context::PHONE | context::PHONE_MAYBE;
    /// A hardware address of six octets.
    MacAddress "MAC_ADDRESS" On proven 32 0;
    /// A Bitcoin or Ethereum address.
    Crypto "CRYPTO" On proven 9 0;
    /// A United States taxpayer number.
    UsItin "US_ITIN" On format 10 context::ITIN;
    /// A British national insurance number.
    UkNino "UK_NINO" On proven 10 0;
    /// A British health service number.
    UkNhs "UK_NHS" Context format 10 context::NHS;
    /// A German tax number.
    DeSteuerId "DE_STEUER_ID" Context format 10 context::STEUER;
    /// A French social security number.
    FrNir "FR_NIR" On proven 10 0;
    /// A Spanish identity number.
    EsNif "ES_NIF" On proven 10 0;
    /// A Spanish foreigner number.
    EsNie "ES_NIE" On proven 10 0;
    /// An Italian tax code.
    ItCodiceFiscale "IT_CODICE_FISCALE" On proven 10 0;
    /// A Dutch citizen number.
    NlBsn "NL_BSN" Context format 10 context::BSN;
    /// A Brazilian person number.
    BrCpf "BR_CPF" On format 10 context::CPF;
    /// A Brazilian company number.
    BrCnpj "BR_CNPJ" On format 10 context::CNPJ;
    /// An Indian identity number.
    InAadhaar "IN_AADHAAR" Context format 10 context::AADHAAR;
    /// An Indian tax number.
    InPan "IN_PAN" On proven 10 context::PAN;
    /// An Australian tax number.
    AuTfn "AU_TFN" Context format 10 context::TFN;
    /// An Australian business number.
    AuAbn "AU_ABN" Context format 10 context::ABN;
    /// An Australian health card number.
    AuMedicare "AU_MEDICARE" Context format 10 context::MEDICARE;
    /// A Singapore identity number.
    SgNric "SG_NRIC" On proven 10 context::NRIC;
    /// A Polish person number.
    PlPesel "PL_PESEL" Context format 10 context::PESEL;
    /// A Korean resident number.
    KrRrn "KR_RRN" On format 10 context::RRN;
    /// A Japanese individual number.
    JpMyNumber "JP_MY_NUMBER" Context format 10 context::MY_NUMBER;
    /// A Canadian social insurance number.
    CaSin "CA_SIN" Context format 10 context::SIN;
    /// A passport number.
    Passport "PASSPORT" Context format 35 context::PASSPORT;
    /// A driving licence number.
    DriverLicense "DRIVER_LICENSE" Context format 36 context::DRIVER;
    /// A date that the text calls a birth date.
    DateOfBirth "DATE_OF_BIRTH" Context format 33 context::BIRTH;
    /// A United States bank routing number.
    UsAbaRouting "US_ABA_ROUTING" Context format 10 context::ROUTING;
    /// A bank account number.
    BankAccount "BANK_ACCOUNT" Context format 34 context::ACCOUNT;
    /// A United States Medicare beneficiary number.
    UsMbi "US_MBI" Optional format 12 context::MEDICARE | context::MORE_HEALTH;
    /// A United States health provider number.
    UsNpi "US_NPI" Optional format 12 context::MORE_HEALTH;
    /// A United States employer number.
    UsEin "US_EIN" Optional format 12 context::MORE_TAX | context::ITIN;
    /// A German identity card or passport with its check digit.
    DeIdCard "DE_ID_CARD" Optional format 12 context::MORE_PERSON | context::PASSPORT;
    /// A German pension insurance number.
    DeRvnr "DE_RVNR" Optional format 12 context::MORE_PERSON;
    /// A German VAT number.
    DeVat "DE_VAT" Optional format 12 context::MORE_TAX;
    /// An Italian VAT number.
    ItPartitaIva "IT_PARTITA_IVA" Optional format 12 context::MORE_TAX;
    /// A Spanish social security number.
    EsNuss "ES_NUSS" Optional format 12 context::MORE_PERSON;
    /// A French tax number.
    FrNif "FR_NIF" Optional format 12 context::MORE_TAX;
    /// A Belgian national number.
    BeNationalNumber "BE_NATIONAL_NUMBER" Optional format 12 context::MORE_PERSON;
    /// A Swiss social security number.
    ChAhv "CH_AHV" Optional format 12 context::MORE_PERSON;
    /// An Austrian social security number.
    AtSvnr "AT_SVNR" Optional format 12 context::MORE_PERSON;
    /// A Swedish person number.
    SePersonnummer "SE_PERSONNUMMER" Optional format 12 context::MORE_PERSON;
    /// A Swedish company number.
    SeOrgnr "SE_ORGNR" Optional format 12 context::MORE_COMPANY;
    /// A Finnish person code.
    FiHetu "FI_HETU" Optional format 12 context::MORE_PERSON;
    /// A Danish person number.
    DkCpr "DK_CPR" Optional format 12 context::MORE_PERSON;
    /// A Norwegian person number.
    NoFnr "NO_FODSELSNUMMER" Optional format 12 context::MORE_PERSON;
    /// A Portuguese tax number.
    PtNif "PT_NIF" Optional format 12 context::MORE_TAX;
    /// A Greek tax number.
    GrAfm "GR_AFM" Optional format 12 context::MORE_TAX;
    /// A Greek social security number.
    GrAmka "GR_AMKA" Optional format 12 context::MORE_PERSON;
    /// A Czech or Slovak person number.
    CzRodneCislo "CZ_SK_RODNE_CISLO" Optional format 12 context::MORE_PERSON;
    /// A Romanian person number.
    RoCnp "RO_CNP" Optional format 12 context::MORE_PERSON;
    /// A Bulgarian person number.
    BgEgn "BG_EGN" Optional format 12 context::MORE_PERSON;
    /// A Turkish person number.
    TrTckn "TR_TCKN" Optional format 12 context::MORE_PERSON;
    /// A South African person number.
    ZaId "ZA_ID" Optional format 12 context::MORE_PERSON;
    /// A Thai person number.
    ThTnin "TH_TNIN" Optional format 12 context::MORE_PERSON;
    /// An Indian goods and services tax number.
    InGstin "IN_GSTIN" Optional format 12 context::MORE_TAX;
    /// A Singapore entity number.
    SgUen "SG_UEN" Optional format 12 context::MORE_COMPANY;
    /// An Australian company number.
    AuAcn "AU_ACN" Optional format 12 context::MORE_COMPANY;
    /// A Korean business number.
    KrBrn "KR_BRN" Optional format 12 context::MORE_COMPANY;
    /// A Chinese resident number.
    CnResidentId "CN_RESIDENT_ID" Optional format 12 context::MORE_PERSON;
    /// A British tax reference.
    UkUtr "UK_UTR" Optional format 12 context::MORE_TAX;
    /// A vehicle identification number.
    Vin "VIN" Optional format 12 context::MORE_VEHICLE;
    /// The code of a bank, behind its name.
    SwiftBic "SWIFT_BIC" Optional format 12 context::MORE_CODE;
    /// The verification code of a card, behind its name.
    Cvv "CVV" Optional format 12 context::MORE_CODE;
}

impl Kind {
    /// The built-in type of this name.
    pub fn of_name(name: &str) -> Option<Kind> {
        Kind::BUILT_IN.iter().copied().find(|kind| kind.name() == name)
    }

    /// Whether two findings of such types cover one secret, so that their union goes.
    pub(crate) const fn is_secret(self) -> bool {
        matches!(self, Kind::ApiKey | Kind::Jwt | Kind::PrivateKey | Kind::AuthToken | Kind::Password | Kind::UrlCredential)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::Kind;

    #[test]
    fn a_name_leads_back_to_its_type() {
        for (at, &kind) in Kind::BUILT_IN.iter().enumerate() {
            assert_eq!(Kind::of_name(kind.name()), Some(kind));
            assert_eq!(kind.index(), Some(at));
        }
        assert_eq!(Kind::of_name("email"), None);
    }
}
