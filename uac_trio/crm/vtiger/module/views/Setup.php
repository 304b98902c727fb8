<?php
/**
 * The module's page for administrators: address, state of the connection, removal.
 *
 * A page of its own, without the CRM's menus: templates would lie outside of the module's folder, and the CRM's uninstall
 * would leave them. The CRM puts its CSRF token into the forms.
 */
require_once 'modules/UacCompanion/UacCompanion.php';

class UacCompanion_Setup_View extends Vtiger_View_Controller {
    public function checkPermission(Vtiger_Request $request) {
        if (!Users_Record_Model::getCurrentUserModel()->isAdminUser()) {
            throw new AppException('not permitted');
        }
        return true;
    }

    public function preProcess(Vtiger_Request $request, $display = true) {
    }

    public function postProcess(Vtiger_Request $request) {
    }

    public function process(Vtiger_Request $request) {
        $isRussian = strpos((string) Vtiger_Language_Handler::getLanguage(), 'ru') === 0;
        $texts = require 'modules/UacCompanion/texts/' . ($isRussian ? 'ru_ru' : 'en_us') . '.php';
        $done = (string) $request->get('done');
        header('Content-Type: text/html; charset=UTF-8');
        echo self::page($isRussian ? 'ru' : 'en', $texts, in_array($done, array('saved', 'wrong'), true) ? $done : '');
    }

    private static function page($language, $texts, $done) {
        $t = array_map(array(__CLASS__, 'html'), $texts);
        $gateway = self::html((string) PBXManager_Server_Model::getInstance()->get('webappurl'));
        $url = self::html(UacCompanion::setting('url'));
        $version = self::html(UacCompanion::version());
        $script = self::html(UacCompanion::script('setup'));
        $notice = $done === '' ? '' : '<p class="notice ' . $done . '">' . $t[$done] . '</p>';
        $states = '';
        foreach (array('open', 'failed', 'no-gateway', 'other') as $state) {
            $states .= ' data-' . $state . '="' . $t['state_' . $state] . '"';
        }
        return '<!doctype html><html lang="' . $language . '"><head><meta charset="utf-8"><title>' . $t['title'] . '</title>'
            . '<style>body{font:15px/1.5 "Open Sans",Arial,sans-serif;color:#333;max-width:760px;margin:40px auto;padding:0 20px}'
            . 'h1{font-size:24px}h2{font-size:17px;margin-top:32px}input[type=text]{width:100%;padding:7px;font:inherit;box-sizing:border-box}'
            . 'button{font:inherit;padding:6px 16px}small{color:#666}.notice{padding:8px 12px;background:#e7f4e4}.wrong{background:#fbe5e1}'
            . '#state{font-weight:bold}.danger{color:#b3261e}</style></head><body>'
            . '<p><a href="index.php?module=ModuleManager&amp;parent=Settings&amp;view=List">← ' . $t['back'] . '</a></p>'
            . '<h1>' . $t['title'] . '</h1><p>' . $t['about'] . '</p>' . $notice
            . '<form method="post" action="index.php"><input type="hidden" name="module" value="UacCompanion">'
            . '<input type="hidden" name="action" value="Config"><input type="hidden" name="mode" value="save">'
            . '<h2><label for="url">' . $t['address'] . '</label></h2>'
            . '<input type="text" id="url" name="url" maxlength="200" value="' . $url . '" placeholder="/uac">'
            . '<p><small>' . sprintf($t['address_hint'], $gateway === '' ? '–' : $gateway) . '</small></p>'
            . '<button type="submit">' . $t['save'] . '</button></form>'
            . '<h2>' . $t['state'] . '</h2><p id="state" role="status"' . $states . '>' . $t['state_trying'] . '</p>'
            . '<h2>' . $t['version'] . '</h2><p>' . $version . '</p>'
            . '<form method="post" action="index.php" id="remove" data-sure="' . $t['remove_sure'] . '">'
            . '<input type="hidden" name="module" value="UacCompanion"><input type="hidden" name="action" value="Config">'
            . '<input type="hidden" name="mode" value="remove"><h2>' . $t['remove'] . '</h2><p><small>' . $t['remove_hint']
            . '</small></p><button type="submit" class="danger">' . $t['remove'] . '</button></form>'
            . '<script src="' . $script . '"></script></body></html>';
    }

    private static function html($text) {
        return htmlspecialchars((string) $text, ENT_QUOTES, 'UTF-8');
    }
}
