<?php
/** The module's page is in the menu of its tile in Settings > Module Manager. */
class UacCompanion_Module_Model extends Vtiger_Module_Model {
    public function getSettingLinks() {
        $isRussian = strpos((string) Vtiger_Language_Handler::getLanguage(), 'ru') === 0;
        return array(array(
            'linktype' => 'LISTVIEWSETTING',
            'linklabel' => $isRussian ? 'Настройки' : 'Settings',
            'linkurl' => 'index.php?module=UacCompanion&view=Setup',
            'linkicon' => '',
        ));
    }

    public function isQuickCreateSupported() {
        return false;
    }
}
